// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package nodejob

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// withJobController is a client whose Jobs get a pod with a status, by node, and lose it again with the Job.
func withJobController(statuses map[string]corev1.PodStatus) *fake.Clientset {
	client := fake.NewClientset()
	client.PrependReactor("create", "jobs", func(action clienttesting.Action) (bool, runtime.Object, error) {
		job := action.(clienttesting.CreateAction).GetObject().(*batchv1.Job)
		node := job.Spec.Template.Spec.NodeName
		job.Name, job.UID = "job-"+node, "uid"
		status, ok := statuses[node]
		if !ok {
			return false, nil, nil
		}
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: job.Name, Namespace: job.Namespace, Labels: map[string]string{
				"batch.kubernetes.io/job-name": job.Name, "app.kubernetes.io/name": "kubectl-encryption",
			}}, Spec: corev1.PodSpec{NodeName: node}, Status: status,
		}
		return false, nil, client.Tracker().Add(pod)
	})
	client.PrependReactor("delete", "jobs", func(action clienttesting.Action) (bool, runtime.Object, error) {
		name := action.(clienttesting.DeleteAction).GetName()
		_ = client.Tracker().Delete(corev1.SchemeGroupVersion.WithResource("pods"), "kube-system", name)
		return false, nil, nil
	})
	return client
}

func jobs(t *testing.T, client *fake.Clientset) []string {
	t.Helper()
	list, err := client.BatchV1().Jobs("kube-system").List(context.WithoutCancel(t.Context()), metav1.ListOptions{})
	require.NoError(t, err)
	var names []string
	for _, j := range list.Items {
		names = append(names, j.Name)
	}
	return names
}

func TestStartSaysWhyAnAgentDoesNotRunAndLeavesNothing(t *testing.T) {
	t.Parallel()
	other := corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{
		ImageID: "registry.example/encryption-agent@sha256:9999", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
	}}}
	tests := map[string]struct {
		statuses map[string]corev1.PodStatus
		event    string
		message  string
		took     time.Duration
	}{
		"the image can't be pulled": {
			map[string]corev1.PodStatus{"n1": waiting("ErrImagePull", "no such host"), "n2": waiting("ContainerCreating", "")},
			"",
			"the agent can't run on node n1: its container waits: ErrImagePull: no such host", 0,
		},
		"another image runs": {
			map[string]corev1.PodStatus{"n1": other, "n2": waiting("ContainerCreating", "")},
			"",
			"the agent's pod on node n1 does not run the image " + image, 0,
		},
		"the pods never start": {
			map[string]corev1.PodStatus{"n1": waiting("ContainerCreating", "slow"), "n2": waiting("ContainerCreating", "slow")},
			"",
			"the agent did not start on node n", time.Minute,
		},
		"the pods are never made": {
			nil, "pods \"x\" is forbidden: by policy",
			"within 1m0s: its pod was not created; FailedCreate: pods \"x\" is forbidden: by policy", time.Minute,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client := withJobController(tt.statuses)
				if tt.event != "" {
					require.NoError(t, client.Tracker().Add(&corev1.Event{
						ObjectMeta: metav1.ObjectMeta{Name: "e", Namespace: "kube-system"}, Reason: "FailedCreate", Message: tt.event, Type: "Warning",
					}))
				}
				r := &Runner{Client: client, StartTimeout: time.Minute}
				began := time.Now()
				agents, err := r.Start(t.Context(), []Spec{exampleSpec("n1"), exampleSpec("n2")})
				require.ErrorContains(t, err, tt.message)
				assert.Nil(t, agents)
				assert.Equal(t, tt.took, time.Since(began).Truncate(time.Second))
				assert.Empty(t, jobs(t, client))
			})
		})
	}
}

func TestStartTakesTheJobsBackAfterAnInterruption(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := withJobController(map[string]corev1.PodStatus{"n1": waiting("ContainerCreating", "")})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r := &Runner{Client: client, StartTimeout: time.Minute}
		_, err := r.Start(ctx, []Spec{exampleSpec("n1")})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Empty(t, jobs(t, client))
	})
}

func TestStartSaysThatAJobCouldNotBeMade(t *testing.T) {
	t.Parallel()
	client := fake.NewClientset()
	client.PrependReactor("create", "jobs", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("no") })
	_, err := (&Runner{Client: client, StartTimeout: time.Minute}).Start(t.Context(), []Spec{exampleSpec("n1")})
	assert.EqualError(t, err, "create the agent's Job for node n1: no")
}

func TestSweepRemovesJobsOfOtherRunsAlone(t *testing.T) {
	t.Parallel()
	ours := map[string]string{"app.kubernetes.io/name": "kubectl-encryption", "kubectl-encryption/run": "run1"}
	earlier := map[string]string{"app.kubernetes.io/name": "kubectl-encryption", "kubectl-encryption/run": "run0"}
	client := fake.NewClientset(
		&batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "own", Namespace: "kube-system", Labels: ours}},
		&batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "left", Namespace: "kube-system", Labels: earlier}},
		&batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "reads", Namespace: "kube-system", Labels: map[string]string{
			"app.kubernetes.io/name": "kubectl-encryption", "kubectl-encryption/run": "run0", "app.kubernetes.io/component": "reader",
		}}},
		&batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "somebodys", Namespace: "kube-system"}},
		&batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "elsewhere", Namespace: "default", Labels: earlier}},
	)
	r := &Runner{Client: client}
	swept, err := r.Sweep(t.Context(), "run1")
	require.NoError(t, err)
	assert.Equal(t, 1, swept)
	assert.ElementsMatch(t, []string{"own", "reads", "somebodys"}, jobs(t, client))
}

func TestDrainWaitsUntilTheAgentsPodsAreGone(t *testing.T) {
	t.Parallel()
	for _, component := range []string{"agent", "reader"} {
		t.Run(component, func(t *testing.T) {
			t.Parallel()
			drainWaits(t, component)
		})
	}
}

func drainWaits(t *testing.T, component string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		labels := agentLabels()
		labels["app.kubernetes.io/component"] = component
		client := fake.NewClientset(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			Name: "p", Namespace: "kube-system", Labels: labels,
		}})
		r := &Runner{Client: client}
		go func() {
			<-time.After(5 * time.Second)
			_ = client.Tracker().Delete(corev1.SchemeGroupVersion.WithResource("pods"), "kube-system", "p")
		}()
		interrupted, cancel := context.WithCancel(t.Context())
		cancel()
		began := time.Now()
		require.NoError(t, r.Drain(interrupted, "run-1"))
		assert.Equal(t, 5*time.Second, time.Since(began).Truncate(time.Second))
	})
}

func TestDrainSaysThatPodsStay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			Name: "p", Namespace: "kube-system", Labels: agentLabels(),
		}})
		err := (&Runner{Client: client}).Drain(t.Context(), "run-1")
		assert.ErrorContains(t, err, "wait until the agents' pods are gone")
	})
}

// agentLabels are those of an agent's pod of run-1.
func agentLabels() map[string]string {
	return map[string]string{
		"app.kubernetes.io/name": "kubectl-encryption", "app.kubernetes.io/component": "agent", "kubectl-encryption/run": "run-1",
	}
}

func TestDrainLeavesGuardsAlone(t *testing.T) {
	t.Parallel()
	guard := agentLabels()
	guard["app.kubernetes.io/component"] = "guard"
	client := fake.NewClientset(&corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "kube-system", Labels: guard}, Spec: corev1.PodSpec{NodeName: "n1"},
	})
	r := &Runner{Client: client}
	require.NoError(t, r.Drain(t.Context(), "run-1"), "a guard ends when its work is done")
	runs, err := r.GuardRuns(t.Context(), "n1")
	require.NoError(t, err)
	assert.True(t, runs)
}
