// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package nodejob

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// Runner starts agents.
type Runner struct {
	Config *rest.Config
	Client kubernetes.Interface
	// StartTimeout is how long a Job may take until its agent runs.
	StartTimeout time.Duration
}

// pollInterval is how often a Job's pod is looked at.
const pollInterval = 250 * time.Millisecond

// cleanupTimeout bounds the removal of Jobs, which goes on after an interruption: through the restart of a kube-apiserver.
const cleanupTimeout = 90 * time.Second

// Agents are the conversations with the agents of one set of nodes.
type Agents struct {
	Sessions map[string]*Session
	runner   *Runner
	jobs     []*batchv1.Job
}

// Start runs an agent on each node and returns when all of them run, or none. The caller closes them.
func (r *Runner) Start(ctx context.Context, specs []Spec) (*Agents, error) {
	a := &Agents{Sessions: map[string]*Session{}, runner: r, jobs: make([]*batchv1.Job, len(specs))}
	sessions := make([]*Session, len(specs))
	g, gctx := errgroup.WithContext(ctx)
	for i, spec := range specs {
		g.Go(func() error {
			var err error
			sessions[i], err = r.start(gctx, spec, &a.jobs[i])
			return err
		})
	}
	err := g.Wait()
	for _, s := range sessions {
		if s != nil {
			a.Sessions[s.node] = s
		}
	}
	if err != nil {
		return nil, errors.Join(err, a.Close(ctx))
	}
	return a, nil
}

func (r *Runner) start(ctx context.Context, spec Spec, created **batchv1.Job) (*Session, error) {
	var job *batchv1.Job
	err := kube.Retry(ctx, func(ctx context.Context) (err error) { // one that is made twice is removed by Drain
		job, err = r.Client.BatchV1().Jobs(project.Namespace).Create(ctx, spec.job(), metav1.CreateOptions{FieldManager: project.FieldManager})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("create the agent's Job for node %s: %w", spec.Node, err)
	}
	*created = job
	pod, err := r.waitForPod(ctx, job, spec)
	if err != nil {
		return nil, err
	}
	if err := checkImage(pod, spec.Image); err != nil {
		return nil, err
	}
	s, err := attach(ctx, r.Config, r.Client.CoreV1().RESTClient(), pod.Name, spec.Node, spec.Run)
	if err != nil {
		return nil, fmt.Errorf("talk to the agent on node %s: %w", spec.Node, err)
	}
	return s, nil
}

func (r *Runner) waitForPod(ctx context.Context, job *batchv1.Job, spec Spec) (*corev1.Pod, error) {
	var running *corev1.Pod
	var name string
	last := "its pod was not created"
	err := wait.PollUntilContextTimeout(ctx, pollInterval, r.StartTimeout, true, func(ctx context.Context) (bool, error) {
		pods, err := r.Client.CoreV1().Pods(project.Namespace).List(ctx, metav1.ListOptions{LabelSelector: "batch.kubernetes.io/job-name=" + job.Name})
		if err != nil {
			last = err.Error()
			return false, nil //nolint:nilerr // asked again until the time is over
		}
		if len(pods.Items) == 0 {
			return false, nil
		}
		pod := &pods.Items[0]
		name = pod.Name
		state, reason := judge(pod)
		last = reason
		switch state {
		case podRunning:
			running = pod
			return true, nil
		case podHopeless:
			return false, hopelessError(spec, reason)
		case podStarting:
		}
		return false, nil
	})
	switch {
	case err == nil:
		return running, nil
	case ctx.Err() == nil && wait.Interrupted(err):
		return nil, fmt.Errorf("the agent did not start on node %s within %s: %s%s", spec.Node, r.StartTimeout, last, r.events(ctx, "Job", job.Name)+r.events(ctx, "Pod", name))
	}
	return nil, err
}

// hopelessError is about an agent that can't run. What mends an image is known.
func hopelessError(spec Spec, reason string) error {
	err := fmt.Errorf("the agent can't run on node %s: %s", spec.Node, reason)
	if !strings.Contains(reason, "Image") {
		return err
	}
	return hint.New(err, "the node must be able to pull "+spec.Image+", or have it; --agent-image names it elsewhere, by the same digest")
}

type podState int

const (
	podStarting podState = iota
	podRunning
	podHopeless
)

// judge tells from a pod's status how it is with the agent. It is pure.
func judge(pod *corev1.Pod) (podState, string) {
	if pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded {
		return podHopeless, sentence("its pod ended", pod.Status.Reason, pod.Status.Message, terminated(pod))
	}
	for _, c := range pod.Status.ContainerStatuses {
		if c.State.Running != nil {
			return podRunning, ""
		}
		if w := c.State.Waiting; w != nil {
			text := sentence("its container waits", w.Reason, w.Message)
			// Not CreateContainerConfigError: it passes on a node whose kubelet has only just begun to look at Services.
			hopeless := []string{"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "CreateContainerError"}
			if slices.Contains(hopeless, w.Reason) {
				return podHopeless, text
			}
			return podStarting, text
		}
	}
	return podStarting, sentence("its pod is "+strings.ToLower(string(pod.Status.Phase)), pod.Status.Reason, pod.Status.Message)
}

func terminated(pod *corev1.Pod) string {
	for _, c := range pod.Status.ContainerStatuses {
		if t := c.State.Terminated; t != nil {
			return fmt.Sprintf("%s, exit code %d", t.Reason, t.ExitCode)
		}
	}
	return ""
}

func sentence(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ": ")
}

// events adds what the Job's controller had to say of the Job, such as a refusal by admission, or the kubelet of its
// pod, such as a mount that failed.
func (r *Runner) events(ctx context.Context, kind, name string) string {
	if name == "" {
		return ""
	}
	list, err := r.Client.CoreV1().Events(project.Namespace).List(ctx, metav1.ListOptions{
		FieldSelector: "involvedObject.kind=" + kind + ",involvedObject.name=" + name + ",type=Warning",
	})
	if err != nil || len(list.Items) == 0 {
		return ""
	}
	e := list.Items[len(list.Items)-1]
	return "; " + sentence(e.Reason, e.Message)
}

// checkImage compares what runs with what was asked for, before anything is sent to it.
func checkImage(pod *corev1.Pod, image string) error {
	_, digest, byDigest := strings.Cut(image, "@")
	if !byDigest {
		return nil
	}
	for _, c := range pod.Status.ContainerStatuses {
		if strings.HasSuffix(c.ImageID, digest) {
			return nil
		}
	}
	return fmt.Errorf("the agent's pod on node %s does not run the image %s", pod.Spec.NodeName, image)
}

// Close ends all conversations and deletes the Jobs, also after an interruption. Their pods are gone a few seconds
// later; Drain waits for that.
func (a *Agents) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for _, s := range a.Sessions {
		wg.Go(s.Close)
	}
	wg.Wait()
	var g errgroup.Group
	for _, job := range a.jobs {
		if job != nil {
			g.Go(func() error { return a.runner.remove(ctx, job) })
		}
	}
	return g.Wait()
}

// remove deletes a Job, and its pods with it.
func (r *Runner) remove(ctx context.Context, job *batchv1.Job) error {
	err := kube.Insist(ctx, func(ctx context.Context) error {
		return r.Client.BatchV1().Jobs(project.Namespace).Delete(ctx, job.Name, metav1.DeleteOptions{
			PropagationPolicy: new(metav1.DeletePropagationBackground),
			Preconditions:     metav1.NewUIDPreconditions(string(job.UID)),
		})
	})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("delete Job %s: %w", job.Name, err)
	}
	return nil
}

// Drain removes what is left of a run's Jobs, such as one whose creation was answered too late, and waits until no pod
// of the run is left, also after an interruption.
func (r *Runner) Drain(ctx context.Context, run string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	selector := labels.Set{project.LabelName: project.Name, project.LabelRun: run}.String() +
		"," + project.LabelComponent + " in (" + component + "," + readerComponent + ")"
	if _, err := r.removeAll(ctx, selector); err != nil {
		return err
	}
	err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		pods, err := r.Client.CoreV1().Pods(project.Namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
		return err == nil && len(pods.Items) == 0, nil
	})
	if err != nil {
		return fmt.Errorf("wait until the agents' pods are gone: %w", err)
	}
	return nil
}

// GuardRuns tells whether the pod of a guard is to be seen on a node.
func (r *Runner) GuardRuns(ctx context.Context, node string) (bool, error) {
	guards, err := r.Client.CoreV1().Pods(project.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: labels.Set{project.LabelName: project.Name, project.LabelComponent: GuardComponent}.String(),
		FieldSelector: "spec.nodeName=" + node,
	})
	if err != nil {
		return false, fmt.Errorf("list guards: %w", err)
	}
	return len(guards.Items) > 0, nil
}

// Sweep removes Jobs that earlier commands left behind. The caller holds the lock, so no command is alive that
// could still need them; but for readers, which end by themselves.
func (r *Runner) Sweep(ctx context.Context, run string) (int, error) {
	name := labels.Set{project.LabelName: project.Name}.String()
	return r.removeAll(ctx, name+","+project.LabelRun+","+project.LabelRun+"!="+run+","+project.LabelComponent+"!="+readerComponent)
}

func (r *Runner) removeAll(ctx context.Context, selector string) (int, error) {
	var jobs *batchv1.JobList
	err := kube.Insist(ctx, func(ctx context.Context) (err error) {
		jobs, err = r.Client.BatchV1().Jobs(project.Namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("list Jobs of ours: %w", err)
	}
	for i := range jobs.Items {
		if err := r.remove(ctx, &jobs.Items[i]); err != nil {
			return i, err
		}
	}
	return len(jobs.Items), nil
}
