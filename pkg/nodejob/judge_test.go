// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package nodejob

import (
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
)

func waiting(reason, message string) corev1.PodStatus {
	return corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{
		State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
	}}}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		status corev1.PodStatus
		state  podState
		reason string
	}{
		"the pod was only just made": {corev1.PodStatus{Phase: corev1.PodPending}, podStarting, "its pod is pending"},
		"the container is being made": {
			waiting("ContainerCreating", ""), podStarting, "its container waits: ContainerCreating",
		},
		"the container runs": {
			corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{
				State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
			}}}, podRunning, "",
		},
		"the image can't be pulled": {
			waiting("ErrImagePull", "not found"), podHopeless, "its container waits: ErrImagePull: not found",
		},
		"the image could not be pulled some time ago": {
			waiting("ImagePullBackOff", "back-off"), podHopeless, "its container waits: ImagePullBackOff: back-off",
		},
		"the image may not be pulled": {waiting("ErrImageNeverPull", ""), podHopeless, "its container waits: ErrImageNeverPull"},
		"the image's name is none":    {waiting("InvalidImageName", ""), podHopeless, "its container waits: InvalidImageName"},
		"the kubelet has only just started": {
			waiting("CreateContainerConfigError", "services have not yet been read"), podStarting,
			"its container waits: CreateContainerConfigError: services have not yet been read",
		},
		"the container can't be made": {waiting("CreateContainerError", "x"), podHopeless, "its container waits: CreateContainerError: x"},
		"the agent ended at once": {
			corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: []corev1.ContainerStatus{{
				State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Error", ExitCode: 2}},
			}}}, podHopeless, "its pod ended: Error, exit code 2",
		},
		"the kubelet did not take the pod": {
			corev1.PodStatus{Phase: corev1.PodFailed, Reason: "UnexpectedAdmissionError", Message: "no room"},
			podHopeless, "its pod ended: UnexpectedAdmissionError: no room",
		},
		"the agent ended well before it was talked to": {
			corev1.PodStatus{Phase: corev1.PodSucceeded}, podHopeless, "its pod ended",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state, reason := judge(&corev1.Pod{Status: tt.status})
			assert.Equal(t, tt.state, state)
			assert.Equal(t, tt.reason, reason)
		})
	}
}

func TestCheckImage(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		asked, runs string
		wrong       bool
	}{
		"the digest that was asked for":          {"r.example/a@sha256:01", "r.example/a@sha256:01", false},
		"the same from another registry":         {"r.example/a@sha256:01", "mirror.example/b@sha256:01", false},
		"the bare digest, as some runtimes tell": {"r.example/a@sha256:01", "sha256:01", false},
		"another digest":                         {"r.example/a@sha256:01", "r.example/a@sha256:02", true},
		"no digest":                              {"r.example/a@sha256:01", "", true},
		"asked for by tag: nothing to compare":   {"r.example/a:v1", "r.example/a@sha256:02", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pod := &corev1.Pod{Spec: corev1.PodSpec{NodeName: "n1"}, Status: corev1.PodStatus{
				ContainerStatuses: []corev1.ContainerStatus{{ImageID: tt.runs}},
			}}
			err := checkImage(pod, tt.asked)
			if tt.wrong {
				assert.EqualError(t, err, "the agent's pod on node n1 does not run the image "+tt.asked)
				return
			}
			assert.NoError(t, err)
		})
	}
	assert.Error(t, checkImage(&corev1.Pod{}, "r.example/a@sha256:01"), "a pod without a container's status proves nothing")
}
