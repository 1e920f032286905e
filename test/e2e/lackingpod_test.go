// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	apiwatch "k8s.io/apimachinery/pkg/watch"
)

// errand is a command, and what the pods are shown of their node that do its work.
type errand struct {
	args []string
	// shown are the names of the pod's mounts.
	shown string
	// like is a command that runs the same pods and changes nothing, nil if this one can be run as it is.
	like []string
	// after goes on with what could not be done, and brings the cluster back to where it was.
	after [][]string
	// tells: it gets through with less and tells so.
	tells bool
	// about is what alone is to be taken away, everything if it is empty.
	about string
}

// errands are the commands that need all that any pod of an agent has.
func (c *cluster) errands(t *testing.T) []errand {
	t.Helper()
	recipient := strings.TrimSpace(c.exec(t, c.nodes[0], c.copyAgent(t, c.nodes[0]), "recipient"))
	return []errand{
		{args: []string{"rotate", "--yes"}, shown: "config history", after: [][]string{{"rotate", "--resume", "--yes"}}},
		{args: []string{"migrate", "--resources", "secrets"}, shown: "config"},
		{args: []string{"join", "--recipient", recipient}, shown: "config"},
		{args: []string{"history"}, shown: "config history", tells: true},
		{args: []string{"verify"}, shown: "config etcd-ca etcd-cert etcd-key"},
		{args: []string{"verify", "--residue"}, shown: "etcd-snap etcd-wal"},
		{
			args: []string{"disable", "--remove-flags", "--yes"}, shown: "config history manifests", about: "manifests",
			like: []string{"enable", "--yes"}, after: [][]string{{"disable", "--resume", "--yes"}, {"enable", "--yes", "--provider", "aesgcm"}},
		},
	}
}

// lack is one thing that a pod has, taken away by a patch of its Job.
type lack struct{ what, op, path, value string }

const podPath = "/spec/template/spec"

// lacks are all that can be taken from a pod: each mount, each right to write, each capability, the node's network, and root. That
// what it has not been given is nothing, test/e2e/agenttrace_test.go shows.
func lacks(pod corev1.PodSpec) (list []lack) {
	container := pod.Containers[0]
	for i, m := range container.VolumeMounts {
		at := fmt.Sprintf("%s/containers/0/volumeMounts/%d", podPath, i)
		list = append(list, lack{"the folder or file " + m.Name, "remove", at, ""})
		if !m.ReadOnly {
			list = append(list, lack{"the right to write to " + m.Name, "add", at + "/readOnly", "true"})
		}
	}
	for i, capability := range container.SecurityContext.Capabilities.Add {
		list = append(list, lack{string(capability), "remove", fmt.Sprintf("%s/containers/0/securityContext/capabilities/add/%d", podPath, i), ""})
	}
	if pod.HostNetwork {
		list = append(list, lack{"the node's network", "replace", podPath + "/hostNetwork", "false"})
	}
	const nobody = "65534"
	return append(list, lack{"root", "replace", podPath + "/containers/0/securityContext/runAsUser", nobody})
}

// lackNothing takes from the agents' pods one thing after the other, by an admission policy of the cluster, and requires each time that
// the command does not get through.
func (c *cluster) lackNothing(t *testing.T) {
	tried := map[string]bool{}
	for _, e := range c.errands(t) {
		t.Run(e.args[0]+" "+e.shown, func(t *testing.T) {
			job, whole := c.jobOf(t, e)
			tried[shownTo(job)] = true
			for _, l := range lacks(job.Spec.Template.Spec) {
				if strings.Contains(l.what, e.about) {
					t.Run("without "+l.what, func(t *testing.T) { c.lackOne(t, e, job, whole, l) })
				}
			}
		})
	}
	assert.Len(t, tried, 5, "kinds of pods that were tried: %v", tried)
	c.checkEncrypted(t, both("aesgcm"))
}

// lackOne runs a command whose pods lack something. With all that they have it tells the whole.
func (c *cluster) lackOne(t *testing.T, e errand, job *batchv1.Job, whole string, l lack) {
	end := c.takeAway(t, job, l)
	r := c.plugin(t, e.args...)
	end()
	t.Log(r.failure())
	if e.tells && r.code == 0 {
		assert.NotEqual(t, whole, r.stdout)
	} else {
		assert.Equal(t, 1, r.code, "%s%s", r.stdout, r.stderr)
	}
	for _, args := range e.after {
		c.succeed(t, args...)
	}
}

// jobOf runs a command and gives the Job whose pod is shown what the errand says, and what the command tells.
func (c *cluster) jobOf(t *testing.T, e errand) (*batchv1.Job, string) {
	t.Helper()
	args := e.args
	if e.like != nil {
		args = e.like
	}
	end := c.collectJobs(t)
	r := c.plugin(t, args...)
	jobs := end()
	require.Contains(t, []int{0, found}, r.code, "%s", r.stderr)
	var kinds []string
	for i := range jobs {
		if kinds = append(kinds, shownTo(&jobs[i])); kinds[i] == e.shown {
			return &jobs[i], r.stdout
		}
	}
	require.Fail(t, "such a pod runs", "%s: %q", e.shown, kinds)
	return nil, ""
}

// collectJobs keeps the Jobs of agents that are made until its function is called.
func (c *cluster) collectJobs(t *testing.T) (end func() []batchv1.Job) {
	t.Helper()
	watch, err := c.client.BatchV1().Jobs(systemNamespace).Watch(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=" + ourName})
	require.NoError(t, err)
	var jobs []batchv1.Job
	var wg sync.WaitGroup
	wg.Go(func() {
		for e := range watch.ResultChan() {
			if job, ok := e.Object.(*batchv1.Job); ok && e.Type == apiwatch.Added {
				jobs = append(jobs, *job)
			}
		}
	})
	return func() []batchv1.Job { watch.Stop(); wg.Wait(); return jobs }
}

func shownTo(job *batchv1.Job) string {
	var names []string
	for _, m := range job.Spec.Template.Spec.Containers[0].VolumeMounts {
		names = append(names, m.Name)
	}
	return strings.Join(names, " ")
}

const policyName = "e2e-take-away"

// takeAway has the cluster take something from the pods of each Job like this one, until its function is called. It is the cluster's
// own admission that does it: the program under test is what people run.
func (c *cluster) takeAway(t *testing.T, job *batchv1.Job, l lack) (end func()) {
	t.Helper()
	policies, bindings := c.client.AdmissionregistrationV1().MutatingAdmissionPolicies(), c.client.AdmissionregistrationV1().MutatingAdmissionPolicyBindings()
	_, err := policies.Create(t.Context(), l.policy(job), metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = bindings.Create(t.Context(), &admissionv1.MutatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: policyName}, Spec: admissionv1.MutatingAdmissionPolicyBindingSpec{PolicyName: policyName},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	c.awaitPods(t, job, false)
	return func() {
		assert.NoError(t, bindings.Delete(t.Context(), policyName, metav1.DeleteOptions{}))
		assert.NoError(t, policies.Delete(t.Context(), policyName, metav1.DeleteOptions{}))
		c.awaitPods(t, job, true)
	}
}

// policy patches the Jobs whose pods are shown the same of their node.
func (l lack) policy(job *batchv1.Job) *admissionv1.MutatingAdmissionPolicy {
	patch := fmt.Sprintf("[JSONPatch{op: %q, path: %q}]", l.op, l.path)
	if l.value != "" {
		patch = fmt.Sprintf("[JSONPatch{op: %q, path: %q, value: %s}]", l.op, l.path, l.value)
	}
	const mounts = "object.spec.template.spec.containers[0].volumeMounts"
	same := fmt.Sprintf("has(%[1]s) && %[1]s.map(m, m.name) == ['%[2]s']", mounts, strings.Join(strings.Fields(shownTo(job)), "', '"))
	return &admissionv1.MutatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: policyName},
		Spec: admissionv1.MutatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{
				ObjectSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app.kubernetes.io/name": ourName}},
				ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Create},
					Rule:       admissionv1.Rule{APIGroups: []string{"batch"}, APIVersions: []string{"v1"}, Resources: []string{"jobs"}},
				}}},
			},
			MatchConditions:    []admissionv1.MatchCondition{{Name: "same", Expression: same}},
			FailurePolicy:      new(admissionv1.Fail),
			ReinvocationPolicy: admissionv1.NeverReinvocationPolicy,
			Mutations: []admissionv1.Mutation{{
				PatchType: admissionv1.PatchTypeJSONPatch, JSONPatch: &admissionv1.JSONPatch{Expression: patch},
			}},
		},
	}
}

// awaitPods waits until the cluster would make the pod of such a Job as it is asked for, or would not.
func (c *cluster) awaitPods(t *testing.T, job *batchv1.Job, unchanged bool) {
	t.Helper()
	trial := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{GenerateName: ourName + "-trial-", Labels: job.Labels},
		Spec:       batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: job.Spec.Template.Spec}},
	}
	const often = 100 * time.Millisecond
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), often, waitLimit, true, func(ctx context.Context) (bool, error) {
		made, err := c.client.BatchV1().Jobs(systemNamespace).Create(ctx, trial, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if last = err; err != nil {
			return false, nil //nolint:nilerr // asked again until the time is over
		}
		return unchanged == reflect.DeepEqual(made.Spec.Template.Spec, job.Spec.Template.Spec), nil
	})
	require.NoError(t, err, "pods are made as they are asked for: %v; %v", unchanged, last)
}
