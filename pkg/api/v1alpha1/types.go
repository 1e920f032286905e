// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// APIVersion is the apiVersion of every type here.
const APIVersion = project.Name + ".github.io/v1alpha1"

// EncryptionStatus is what `status` found.
type EncryptionStatus struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Cluster is the cluster that was asked.
	Cluster Cluster `json:"cluster"`
	// Summary is one sentence: is all well?
	Summary string `json:"summary"`
	// Healthy is true if what can be proven has been proven and nothing is left to do.
	Healthy bool `json:"healthy"`
	// Encryption is Enabled or Disabled, Mixed if kube-apiservers differ in that, or Unknown. Enabled: each of them reads
	// a configuration, which may still leave resources in plaintext.
	Encryption string `json:"encryption"`
	// Digest is the configuration that all kube-apiservers that read one have loaded, empty if they differ or it is not
	// known.
	Digest string `json:"digest,omitempty"`
	// Type is the provider that writes, Mixed if resources differ, Unknown if nothing proves it.
	Type string `json:"type"`
	// Conditions has the condition Encrypted.
	Conditions []metav1.Condition `json:"conditions"`
	// Nodes are the control-plane nodes with their kube-apiservers.
	Nodes []NodeStatus `json:"nodes"`
	// Resources are the encrypted resources, as far as they are known.
	Resources []ResourceStatus `json:"resources"`
	// Rotation is the last rotation on record, or the one under way.
	Rotation *RotationStatus `json:"rotation,omitempty"`
	// Migration is the last migration on record, or the one under way.
	Migration *MigrationStatus `json:"migration,omitempty"`
	// Verification is the last count of what etcd holds on record, nil if there was none.
	Verification *VerificationStatus `json:"verification,omitempty"`
	// Kubeadm is what kubeadm's own configuration says, nil if it has none or it can't be read.
	Kubeadm *KubeadmStatus `json:"kubeadm,omitempty"`
	// ManagedBy is the tool or the service that runs this control plane, if this program leaves it alone.
	ManagedBy *Manager `json:"managedBy,omitempty"`
	// Problems are what stands in the way, each one sentence.
	Problems []string `json:"problems,omitempty"`
	// Hints are what may be done next, the most useful one first.
	Hints []string `json:"hints,omitempty"`
}

// KubeadmStatus is what ConfigMap kube-system/kubeadm-config says about encryption: upgrades and joins follow it.
type KubeadmStatus struct {
	// ConfigPath is the flag --encryption-provider-config in it, empty if it is not set.
	ConfigPath string `json:"configPath,omitempty"`
	// AutomaticReload is the flag --encryption-provider-config-automatic-reload in it.
	AutomaticReload bool `json:"automaticReload"`
}

// Manager is a tool or a service that keeps a cluster's encryption configuration itself.
type Manager struct {
	Name string `json:"name"`
	// Command is its own command for encryption at rest.
	Command string `json:"command"`
}

// Cluster names a cluster as the kubeconfig does.
type Cluster struct {
	Context string `json:"context"`
	Server  string `json:"server"`
	User    string `json:"user,omitempty"`
}

// The states of encryption.
const (
	Enabled  = "Enabled"
	Disabled = "Disabled"
	Unknown  = "Unknown"
	Mixed    = "Mixed"
)

// ConditionEncrypted is the type of the one condition, with the reasons that users of OpenShift wait for.
const ConditionEncrypted = "Encrypted"

// The reasons of the condition Encrypted.
const (
	EncryptionCompleted  = "EncryptionCompleted"
	EncryptionInProgress = "EncryptionInProgress"
	DecryptionInProgress = "DecryptionInProgress"
	DecryptionCompleted  = "DecryptionCompleted"
	EncryptionDisabled   = "EncryptionDisabled"
)

// NodeStatus is one control-plane node and the kube-apiserver on it.
type NodeStatus struct {
	Name string `json:"name"`
	// Instance is the kube-apiserver's pod.
	Instance string `json:"instance,omitempty"`
	// Version of the kube-apiserver.
	Version string `json:"version,omitempty"`
	// IDHash is the kube-apiserver's apiserver_id_hash.
	IDHash string `json:"apiserverIDHash,omitempty"`
	// Revision is the digest of the configuration that this kube-apiserver has loaded; empty if it does not tell.
	Revision string `json:"revision,omitempty"`
	// LoadedAt is when it loaded it, if that is known: the last reload, else the start of the process.
	LoadedAt *metav1.Time `json:"loadedAt,omitempty"`
	// State is Updated (it has loaded the agreed configuration), Processing (another one), UpdateFailed (its last
	// reload failed), Disabled (it runs without a configuration) or Unknown.
	State string `json:"state"`
	// AutomaticReload tells whether the kube-apiserver picks up a changed file by itself.
	AutomaticReload bool `json:"automaticReload"`
	// ConfigPath is the flag --encryption-provider-config of the kube-apiserver.
	ConfigPath string `json:"configPath,omitempty"`
	// Message says what is wrong, if anything is.
	Message string `json:"message,omitempty"`
}

// The states of a node.
const (
	StateUpdated      = "Updated"
	StateProcessing   = "Processing"
	StateUpdateFailed = "UpdateFailed"
	StateDisabled     = "Disabled"
	StateUnknown      = "Unknown"
)

// ResourceStatus is one encrypted resource.
type ResourceStatus struct {
	// Name is the resource with its group: "secrets", "deployments.apps".
	Name     string `json:"name"`
	Provider string `json:"provider"`
	// WriteKey is the name of the key that writes, empty if there is none or it is not known.
	WriteKey string `json:"writeKey,omitempty"`
	// ReadKeys is the number of further keys that can be read, nil if it is not known.
	ReadKeys *int `json:"readKeys,omitempty"`
	// Objects is the number of stored objects, nil if it could not be counted.
	Objects *int64 `json:"objects,omitempty"`
	// Stale is the number of objects that are not proven to be stored with the write key, nil if there is no baseline.
	// Where the provider is identity: that are not proven to be stored in plaintext.
	Stale *int64 `json:"stale,omitempty"`
	// Message says what is not known, and why.
	Message string `json:"message,omitempty"`
}

// RotationStatus is a rotation on record.
type RotationStatus struct {
	ID string `json:"id"`
	// Command is what it belongs to: enable, disable, rollback or prune, absent for a rotation or a migration.
	Command string `json:"command,omitempty"`
	// Resources that the command is about, wildcards included; absent for all that is encrypted.
	Resources []string `json:"resources,omitempty"`
	// RemoveFlags: the command takes the kube-apiservers' flags out in the end.
	RemoveFlags bool `json:"removeFlags,omitempty"`
	// LeftOut are nodes that it went on without. They have their old file until it is mended.
	LeftOut []string `json:"leftOut,omitempty"`
	// State is InProgress, Completed or Aborted.
	State string `json:"state"`
	// Stage is the last stage on record. What there is to do is derived from the cluster, not from it.
	Stage string   `json:"stage"`
	By    string   `json:"by"`
	From  []KeyRef `json:"from"`
	// To is the key that shall write, provider identity for plaintext.
	To          KeyRef       `json:"to"`
	StartTime   metav1.Time  `json:"startTime"`
	CompletedAt *metav1.Time `json:"completionTime,omitempty"`
}

// The states of a rotation or a migration on record.
const (
	InProgress = "InProgress"
	Completed  = "Completed"
	Aborted    = "Aborted"
	Incomplete = "Incomplete"
)

// KeyRef names a key.
type KeyRef struct {
	Provider    string `json:"provider"`
	Name        string `json:"name"`
	Fingerprint string `json:"fingerprint,omitempty"`
}

// MigrationStatus is a migration on record.
type MigrationStatus struct {
	// Revision is the digest of the configuration that was migrated to.
	Revision string `json:"revision"`
	// State is InProgress, Completed or Incomplete (objects failed).
	State       string       `json:"state"`
	Resources   []string     `json:"resources"`
	CompletedAt *metav1.Time `json:"completionTime,omitempty"`
}

// VerificationStatus is the last verification on record. It says how it was at its time.
type VerificationStatus struct {
	Time metav1.Time `json:"time"`
	By   string      `json:"by"`
	// Outcome is Clean, Found or Unproven.
	Outcome string `json:"outcome"`
	// Digest is the configuration that was judged by, absent if there was none.
	Digest string `json:"digest,omitempty"`
	// SameConfiguration is true if that is what all kube-apiservers have loaded now.
	SameConfiguration bool `json:"sameConfiguration"`
	// MigratedSince is true if a migration has ended since.
	MigratedSince bool `json:"migratedSince"`
	// Revision of etcd that was read.
	Revision int64 `json:"revision"`
	// Decrypted is true if each value was opened as well.
	Decrypted bool `json:"decrypted"`
	// Everything is true if all resources were counted. Resources are those that the configuration names or that have values not
	// as they should be, the first hundred.
	Everything bool     `json:"everything"`
	Resources  []string `json:"resources"`
	// Objects is the number of values that were counted, NotAsConfigured that of those not stored as the configuration says.
	Objects         int64 `json:"objects"`
	NotAsConfigured int64 `json:"notAsConfigured"`
}

// RotationPlan is what `rotate --dry-run` would do.
type RotationPlan struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Cluster Cluster    `json:"cluster"`
	Goal    string     `json:"goal"`
	Nodes   []string   `json:"nodes"`
	Steps   []PlanStep `json:"steps"`
	// Warnings are what the operator should think about first.
	Warnings []string `json:"warnings,omitempty"`
}

// PlanStep is one step of a plan.
type PlanStep struct {
	Stage string `json:"stage"`
	Text  string `json:"text"`
}

// MigrationReport is what `migrate` did.
type MigrationReport struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Cluster Cluster `json:"cluster"`
	// Revision is the digest of the configuration that was migrated to.
	Revision  string              `json:"revision"`
	Complete  bool                `json:"complete"`
	Resources []ResourceMigration `json:"resources"`
}

// ResourceMigration is what happened to the objects of one resource.
type ResourceMigration struct {
	Name     string `json:"name"`
	Baseline string `json:"baseline"`
	Complete bool   `json:"complete"`
	// Objects listed; Current were newer than the baseline; Migrated were rewritten; Unchanged were found to be
	// stored with the write key already; Gone were deleted, and Changed written by somebody else, meanwhile.
	Objects   int64 `json:"objects"`
	Current   int64 `json:"current"`
	Migrated  int64 `json:"migrated"`
	Unchanged int64 `json:"unchanged"`
	Gone      int64 `json:"gone"`
	Changed   int64 `json:"changed"`
	Failed    int64 `json:"failed"`
	// Failures by reason.
	Failures []FailureGroup `json:"failures,omitempty"`
	Note     string         `json:"note,omitempty"`
}

// FailureGroup is all objects that failed for one reason, at one webhook or ValidatingAdmissionPolicy if it was one's.
type FailureGroup struct {
	Reason  string `json:"reason"`
	Webhook string `json:"webhook,omitempty"`
	Policy  string `json:"policy,omitempty"`
	Message string `json:"message"`
	Count   int64  `json:"count"`
	// Objects are the first ones, as namespace/name.
	Objects []string `json:"objects"`
}

// VersionInfo is what `version` prints.
type VersionInfo struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Version       string `json:"version"`
	Commit        string `json:"commit,omitempty"`
	GoVersion     string `json:"goVersion"`
	Platform      string `json:"platform"`
	AgentImage    string `json:"agentImage"`
	ServerVersion string `json:"serverVersion,omitempty"`
}

// New gives the type meta of a kind.
func New(kind string) metav1.TypeMeta { return metav1.TypeMeta{APIVersion: APIVersion, Kind: kind} }

// DeepCopyObject implements runtime.Object.
func (s *EncryptionStatus) DeepCopyObject() runtime.Object { return deepCopy(s) }

// DeepCopyObject implements runtime.Object.
func (p *RotationPlan) DeepCopyObject() runtime.Object { return deepCopy(p) }

// DeepCopyObject implements runtime.Object.
func (r *MigrationReport) DeepCopyObject() runtime.Object { return deepCopy(r) }

// DeepCopyObject implements runtime.Object.
func (v *VersionInfo) DeepCopyObject() runtime.Object { return deepCopy(v) }

// deepCopy copies by way of JSON, which is what the types are for. They are copied once a command at most.
func deepCopy[T any](in *T) *T {
	out := new(T)
	data, err := json.Marshal(in)
	if err != nil {
		return in // no type here holds anything that JSON can't say
	}
	if err := json.Unmarshal(data, out); err != nil {
		return in
	}
	return out
}
