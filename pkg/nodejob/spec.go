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
	// Owner is deleted with the command's lock; the Job goes with it.
	Owner metav1.OwnerReference
}

const (
	// maxLife ends a Job whose command is gone.
	maxLife = 10 * time.Minute
	// ttl is how long a finished Job stays if nobody deletes it.
	ttl = time.Minute

	containerName = "agent"
	// component tells the agents' pods from the guards'.
	component = "agent"
	// GuardComponent is the guards'.
	GuardComponent = "guard"
)

// job builds the Job. It asks for no more than the agent's work needs: root, since the files are root's, but no
// capability, no network of its own use, no token, nothing writable but the two folders.
//
// The pod is pinned by nodeName, so that neither the scheduler nor a cordon stands in the way.
func (s Spec) job() *batchv1.Job {
	labels := map[string]string{
		project.LabelName:      project.Name,
		project.LabelComponent: component,
		project.LabelRun:       s.Run,
		project.LabelNode:      labelValue(s.Node),
	}
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: project.Name + "-agent-", Namespace: project.Namespace, Labels: labels,
			OwnerReferences: []metav1.OwnerReference{s.Owner},
		},
		Spec: batchv1.JobSpec{
			BackoffLimit:            new(int32(0)),
			ActiveDeadlineSeconds:   new(int64(maxLife / time.Second)),
			TTLSecondsAfterFinished: new(int32(ttl / time.Second)),
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       s.pod(),
			},
		},
	}
}

func (s Spec) pod() corev1.PodSpec {
	return corev1.PodSpec{
		NodeName:                      s.Node,
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

func (s Spec) volumes() []corev1.Volume {
	config := corev1.HostPathDirectory
	if s.NewDir {
		config = corev1.HostPathDirectoryOrCreate
	}
	list := []corev1.Volume{
		hostPath("config", s.ConfigDir, config),
		hostPath("history", project.NodeHistoryDir, corev1.HostPathDirectoryOrCreate),
	}
	if s.Manifests {
		list = append(list, hostPath("manifests", project.NodeManifestDir, corev1.HostPathDirectory))
	}
	return list
}

func (s Spec) mounts() []corev1.VolumeMount {
	list := []corev1.VolumeMount{
		{Name: "config", MountPath: agentapi.ConfigDir},
		{Name: "history", MountPath: agentapi.HistoryDir},
	}
	if s.Manifests {
		list = append(list, corev1.VolumeMount{Name: "manifests", MountPath: agentapi.ManifestDir})
	}
	return list
}

func (s Spec) container() corev1.Container {
	limits := corev1.ResourceList{
		corev1.ResourceMemory: resource.MustParse("64Mi"), corev1.ResourceCPU: resource.MustParse("500m"),
	}
	requests := corev1.ResourceList{
		corev1.ResourceMemory: resource.MustParse("16Mi"), corev1.ResourceCPU: resource.MustParse("10m"),
	}
	return corev1.Container{
		Name:            containerName,
		Image:           s.Image,
		ImagePullPolicy: corev1.PullIfNotPresent,
		Args:            []string{"--node=" + s.Node, "--run=" + s.Run, "--config=" + s.ConfigFile},
		Stdin:           true,
		StdinOnce:       true,
		Resources:       corev1.ResourceRequirements{Limits: limits, Requests: requests},
		SecurityContext: &corev1.SecurityContext{
			RunAsUser: new(int64(0)), RunAsGroup: new(int64(0)),
			Privileged: new(false), AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
			Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
		VolumeMounts: s.mounts(),
	}
}

func hostPath(name, path string, kind corev1.HostPathType) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
		HostPath: &corev1.HostPathVolumeSource{Path: path, Type: &kind},
	}}
}

// labelValue cuts a node's name to what a label can hold.
func labelValue(s string) string {
	const most = 63
	return strings.Trim(s[:min(len(s), most)], "-.")
}
