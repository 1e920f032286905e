// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package nodejob runs the agent on control-plane nodes, as short-lived Jobs, and talks to it.
package nodejob

import (
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// Spec is what a Job is made of.
type Spec struct {
	// Node the Job is pinned to.
	Node string
	// Run identifies the command that the Job belongs to.
	Run string
	// Image of the agent, by digest.
	Image string
	// ConfigDir and ConfigFile are where the configuration is on the node.
	ConfigDir, ConfigFile string
	// NewDir: the folder may not be there yet, and is made then.
	NewDir bool
	// Manifests gives the agent the folder of the node's static pods.
	Manifests bool
	// ReadOnly gives the agent nothing to write to, and no history: for a command that needs the file alone.
	ReadOnly bool
	// Reader gives it nothing to write to either, for a command that holds no lock. It may have no ConfigDir and no Owner, is not swept away by a
	// command that has the lock, and ends by itself when nobody asks.
	Reader bool
	// Etcd lets a Reader read etcd, and takes the history from it.
	Etcd *Etcd
	// Data lets a Reader search the files of etcd, and takes the history from it.
	Data *Data
	// Owner is deleted with the command's lock; the Job goes with it.
	Owner metav1.OwnerReference
}

// Etcd is what an agent needs to read etcd.
type Etcd struct {
	// CA, Cert and Key are files on the node, empty where there is none.
	CA, Cert, Key string
	// Life is how long the Job may take.
	Life time.Duration
}

// Data is where a member of etcd has its files on the node.
type Data struct {
	Snap, WAL string
	// Life is how long the Job may take.
	Life time.Duration
}

const (
	// maxLife ends a Job whose command is gone.
	maxLife = 10 * time.Minute
	// ttl is how long a finished Job stays if nobody deletes it.
	ttl = time.Minute
	// readerIdle is how long a reader waits for a request: one whose command is gone holds no lock that it would go with.
	readerIdle = "2m"

	containerName = "agent"
	// component tells the agents' pods from the guards', and readerComponent those that change nothing from the others.
	component       = "agent"
	readerComponent = "reader"
	// GuardComponent is the guards'.
	GuardComponent = "guard"
)

// job builds the Job. It asks for no more than the agent's work needs: root, since the files are root's, but no
// capability, no network of its own use, no token, nothing writable but the two folders, and not even these for one that changes nothing; one
// that hands out the file, or looks whether all nodes have the same, is not shown the history. One that
// reads etcd has the node's network, since etcd may answer on its loopback alone, and the three files that kube-apiserver
// shows it, each by itself: their folder holds the keys of the whole cluster. One that searches etcd's files has two folders of
// them, and no other file of the node.
//
// The pod is pinned by nodeName, so that neither the scheduler nor a cordon stands in the way.
func (s Spec) job() *batchv1.Job {
	labels := map[string]string{
		project.LabelName:      project.Name,
		project.LabelComponent: s.component(),
		project.LabelRun:       s.Run,
		project.LabelNode:      labelValue(s.Node),
	}
	life := maxLife
	switch {
	case s.Etcd != nil:
		life = s.Etcd.Life
	case s.Data != nil:
		life = s.Data.Life
	}
	var owners []metav1.OwnerReference
	if s.Owner.UID != "" {
		owners = []metav1.OwnerReference{s.Owner}
	}
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: project.Name + "-agent-", Namespace: project.Namespace, Labels: labels, OwnerReferences: owners,
		},
		Spec: batchv1.JobSpec{
			BackoffLimit:            new(int32(0)),
			ActiveDeadlineSeconds:   new(int64(life / time.Second)),
			TTLSecondsAfterFinished: new(int32(ttl / time.Second)),
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       s.pod(),
			},
		},
	}
}

func (s Spec) component() string {
	if s.Reader {
		return readerComponent
	}
	return component
}

func (s Spec) pod() corev1.PodSpec {
	return corev1.PodSpec{
		NodeName:                      s.Node,
		HostNetwork:                   s.Etcd != nil,
		RestartPolicy:                 corev1.RestartPolicyNever,
		AutomountServiceAccountToken:  new(false),
		EnableServiceLinks:            new(false),
		TerminationGracePeriodSeconds: new(int64(5)),
		PriorityClassName:             "system-node-critical",
		Tolerations:                   []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
		SecurityContext: &corev1.PodSecurityContext{
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Containers: []corev1.Container{s.container()},
		Volumes:    s.volumes(),
	}
}

// mounted is something of the node that the agent is shown.
type mounted struct {
	name, host, path string
	kind             corev1.HostPathType
}

func (s Spec) mounted() []mounted {
	config := corev1.HostPathDirectory
	if s.NewDir {
		config = corev1.HostPathDirectoryOrCreate
	}
	var list []mounted
	if s.ConfigDir != "" {
		list = append(list, mounted{"config", s.ConfigDir, agentapi.ConfigDir, config})
	}
	switch {
	case s.Data != nil:
		list = append(list,
			mounted{"etcd-snap", s.Data.Snap, agentapi.SnapDir, corev1.HostPathDirectory},
			mounted{"etcd-wal", s.Data.WAL, agentapi.WALDir, corev1.HostPathDirectory})
	case s.Etcd == nil && !s.ReadOnly:
		list = append(list, mounted{"history", project.NodeHistoryDir, agentapi.HistoryDir, corev1.HostPathDirectoryOrCreate})
	case s.Etcd != nil:
		for _, file := range []mounted{
			{"etcd-ca", s.Etcd.CA, agentapi.EtcdCA, corev1.HostPathFile},
			{"etcd-cert", s.Etcd.Cert, agentapi.EtcdCert, corev1.HostPathFile},
			{"etcd-key", s.Etcd.Key, agentapi.EtcdKey, corev1.HostPathFile},
		} {
			if file.host != "" {
				list = append(list, file)
			}
		}
	}
	if s.Manifests {
		list = append(list, mounted{"manifests", project.NodeManifestDir, agentapi.ManifestDir, corev1.HostPathDirectory})
	}
	return list
}

func (s Spec) volumes() (list []corev1.Volume) {
	for _, m := range s.mounted() {
		list = append(list, corev1.Volume{Name: m.name, VolumeSource: corev1.VolumeSource{
			HostPath: &corev1.HostPathVolumeSource{Path: m.host, Type: &m.kind},
		}})
	}
	return list
}

func (s Spec) mounts() (list []corev1.VolumeMount) {
	for _, m := range s.mounted() {
		list = append(list, corev1.VolumeMount{Name: m.name, MountPath: m.path, ReadOnly: s.Reader || s.ReadOnly})
	}
	return list
}

// limits are what the agent may use. To read etcd takes more: its pages are large, and the CPU is what it is fast by.
func (s Spec) limits() corev1.ResourceList {
	memory, cpu := "64Mi", "500m"
	if s.Etcd != nil || s.Data != nil {
		memory, cpu = "128Mi", "1"
	}
	return corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(memory), corev1.ResourceCPU: resource.MustParse(cpu)}
}

func (s Spec) container() corev1.Container {
	requests := corev1.ResourceList{
		corev1.ResourceMemory: resource.MustParse("16Mi"), corev1.ResourceCPU: resource.MustParse("10m"),
	}
	args := []string{"--node=" + s.Node, "--run=" + s.Run, "--config=" + s.ConfigFile}
	if s.Reader {
		args = append(args, "--idle="+readerIdle)
	}
	return corev1.Container{
		Name:            containerName,
		Image:           s.Image,
		ImagePullPolicy: corev1.PullIfNotPresent,
		Args:            args,
		Stdin:           true,
		StdinOnce:       true,
		Resources:       corev1.ResourceRequirements{Limits: s.limits(), Requests: requests},
		SecurityContext: &corev1.SecurityContext{
			RunAsUser: new(int64(0)), RunAsGroup: new(int64(0)),
			Privileged: new(false), AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
			Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
		VolumeMounts: s.mounts(),
	}
}

// labelValue cuts a node's name to what a label can hold.
func labelValue(s string) string {
	const most = 63
	return strings.Trim(s[:min(len(s), most)], "-.")
}
