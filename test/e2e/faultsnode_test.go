// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e && faults

package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// ours selects what the plugin has made.
var ours = metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=" + ourName}

// often is how often a test looks for something that it wants to disturb.
const often = 20 * time.Millisecond

// whenever does something again and again until a run has ended, and lets the run end before it returns.
func whenever(t *testing.T, p *process, do func(ctx context.Context)) {
	t.Helper()
	ticker := time.NewTicker(often)
	defer ticker.Stop()
	for {
		do(t.Context())
		select {
		case <-p.ended:
			return
		case <-ticker.C:
		}
	}
}

// evicted has the pods of agents deleted as soon as they run, three times in a row.
func evicted(t *testing.T, c trial) {
	times := 1
	if c.full {
		times = 3
	}
	for range times {
		c.row.Tried++
		ended := c.toAnotherKey(t)
		run, deleted := c.begin(t, "rotate", "--yes"), map[string]bool{}
		whenever(t, run, func(ctx context.Context) {
			pods, err := c.client.CoreV1().Pods(systemNamespace).List(ctx, ours)
			if err != nil {
				return
			}
			for _, pod := range pods.Items {
				if pod.Status.Phase == corev1.PodRunning && !deleted[pod.Name] {
					deleted[pod.Name] = c.client.CoreV1().Pods(systemNamespace).Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}) == nil
				}
			}
		})
		assert.NotEmpty(t, deleted, "pods that were deleted")
		c.disturbed(t, run)
		ended(t)
	}
}

// removed has Jobs removed as soon as they are there, as a controller does that keeps none.
func removed(t *testing.T, c trial) {
	c.row.Tried++
	ended := c.toAnotherKey(t)
	run, gone := c.begin(t, "rotate", "--yes", "--job-timeout", "10s"), 0
	whenever(t, run, func(ctx context.Context) {
		jobs, err := c.client.BatchV1().Jobs(systemNamespace).List(ctx, ours)
		if err != nil {
			return
		}
		for _, job := range jobs.Items {
			if c.client.BatchV1().Jobs(systemNamespace).Delete(ctx, job.Name, metav1.DeleteOptions{
				PropagationPolicy: new(metav1.DeletePropagationBackground),
			}) == nil {
				gone++
			}
		}
	})
	assert.Positive(t, gone, "Jobs that were removed")
	c.disturbed(t, run)
	ended(t)
}

// cordoned rotates on nodes that take no pods, and drive out those that they have.
func cordoned(t *testing.T, c trial) {
	c.row.Tried++
	patch := func(body string) {
		for _, n := range c.nodes {
			_, err := c.client.CoreV1().Nodes().Patch(t.Context(), n.name, types.StrategicMergePatchType, []byte(body), metav1.PatchOptions{})
			require.NoError(t, err)
		}
	}
	patch(`{"spec":{"unschedulable":true,"taints":[{"key":"faults","effect":"NoExecute"},{"key":"faults","effect":"NoSchedule"}]}}`)
	c.succeed(t, "rotate", "--yes")
	patch(`{"spec":{"unschedulable":false,"taints":[{"key":"node-role.kubernetes.io/control-plane","effect":"NoSchedule"},` +
		`{"$patch":"delete","key":"faults","effect":"NoExecute"},{"$patch":"delete","key":"faults","effect":"NoSchedule"}]}}`)
	c.survived(t)
}

// restrictedPods rotates where kube-system admits no pod that may do anything.
func restrictedPods(t *testing.T, c trial) {
	c.row.Tried++
	label := func(value string) {
		_, err := c.client.CoreV1().Namespaces().Patch(t.Context(), systemNamespace, types.MergePatchType,
			[]byte(`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":`+value+`}}}`), metav1.PatchOptions{})
		require.NoError(t, err)
	}
	label(`"restricted"`)
	c.refuse(t, []string{c.nodes[0].name, "PodSecurity", "restricted"}, "rotate", "--yes", "--job-timeout", "5s")
	label("null")
	c.succeed(t, "rotate", "--yes")
	c.survived(t)
}

// withoutAgents rotates where no agent can start: its image is nowhere, or a quota leaves no room for pods or for Jobs.
func withoutAgents(t *testing.T, c trial) {
	ended, before := c.toAnotherKey(t), c.everything(t)
	node := "node " + c.nodes[0].name
	c.row.Tried++
	c.refuse(t, []string{node, "ErrImagePull", "nothing was changed"}, "rotate", "--yes", "--agent-image", "registry.invalid/agent@"+digest(nil))
	for _, what := range []corev1.ResourceName{corev1.ResourcePods, "count/jobs.batch"} {
		c.row.Tried++
		c.withoutRoomFor(t, what, func() {
			c.refuse(t, []string{node, "exceeded quota", string(what), "nothing was changed"}, "rotate", "--yes", "--job-timeout", "5s")
		})
	}
	assert.Equal(t, before, c.everything(t), "nothing is changed on any node")
	c.succeed(t, "rotate", "--yes")
	ended(t)
}

// readOnly rotates where the folder of the configuration can't be written to.
func readOnly(t *testing.T, c trial) {
	c.row.Tried++
	n := c.nodes[len(c.nodes)-1]
	ended := c.toAnotherKey(t)
	c.exec(t, n, "sh", "-ec", "mount --bind "+configFolder+" "+configFolder+"; mount -o remount,ro,bind "+configFolder)
	c.refuseToWrite(t, n, "read-only file system")
	c.exec(t, n, "umount", configFolder)
	c.succeed(t, again("rotate")...)
	ended(t)
}

// refuseToWrite requires that a rotation names the node whose folder takes nothing, while nothing is changed on any node.
func (c trial) refuseToWrite(t *testing.T, n *node, says string) {
	t.Helper()
	before := c.everything(t)
	c.refuse(t, []string{"node " + n.name, says, "nothing was changed on any node", "rotate --resume"}, "rotate", "--yes")
	assert.Equal(t, before, c.everything(t), "nothing is changed on any node")
}

// everything are the digests of the files of all nodes that a rotation has to do with, those of the histories included, as the processes
// of a node see them.
func (c trial) everything(t *testing.T) map[string]string {
	t.Helper()
	all := c.digests(t)
	for _, n := range c.nodes {
		for _, folder := range []string{configFolder, historyFolder} {
			files, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(n.pid), "root", folder, "*"))
			require.NoError(t, err)
			for _, file := range files {
				data, err := os.ReadFile(file)
				require.NoError(t, err)
				all[n.name+" "+filepath.Join(folder, filepath.Base(file))] = digest(data)
			}
		}
	}
	return all
}

// historyFolder is where a node keeps what was in the configuration's place.
const historyFolder = "/etc/kubernetes/" + ourName

// fullHistory rotates where the folder of the history has no room. It is a file system of its own for that time.
func fullHistory(t *testing.T, c trial) {
	c.row.Tried++
	n := c.nodes[len(c.nodes)-1]
	const folder = historyFolder
	ended := c.toAnotherKey(t)
	c.exec(t, n, "sh", "-ec", "mkdir -p "+folder+`
		mount -t tmpfs -o size=256k,mode=700 tmpfs /mnt
		cp -a `+folder+`/. /mnt/
		dd if=/dev/zero of=/mnt/filler bs=1024 2>/dev/null || true
		mount --bind /mnt `+folder)
	c.refuseToWrite(t, n, "no space left on device")
	c.exec(t, n, "sh", "-ec", "rm /mnt/filler; umount "+folder+"; cp -a /mnt/. "+folder+"/; umount /mnt")
	c.succeed(t, again("rotate")...)
	ended(t)
}

// withoutPermission takes the operator a permission when the rotation comes to a step that needs it, or to the one before where that
// one needs it at once.
func withoutPermission(t *testing.T, c trial) {
	roles := c.client.RbacV1().ClusterRoles()
	all := rbacv1.PolicyRule{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"get", "list", "watch", "create", "update", "patch", "delete"}}
	paths := rbacv1.PolicyRule{NonResourceURLs: []string{"*"}, Verbs: []string{"*"}}
	for stage, verbs := range map[string][]string{
		"migrate": {"get", "list", "watch", "create", "update", "delete"},  // no patch
		"settle":  {"get", "watch", "create", "update", "patch", "delete"}, // no list
		"verify":  {"get", "list", "watch", "create", "patch", "delete"},   // no update
	} {
		c.row.Tried++
		ended := c.toAnotherKey(t)
		role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "e2e-faults"}, Rules: []rbacv1.PolicyRule{all, paths}}
		_, err := roles.Create(t.Context(), role, metav1.CreateOptions{})
		require.NoError(t, err)
		kubeconfig := c.operator(t, role.Name)
		run := c.begin(t, "rotate", "--yes", "--max-rate", "10", "--kubeconfig="+kubeconfig)
		_, ok := run.until(func(e event) bool { return e.starts(stage) })
		require.True(t, ok, "%s", &run.stderr)
		lacking := all
		lacking.Verbs = verbs
		role.Rules = []rbacv1.PolicyRule{lacking, paths}
		_, err = roles.Update(t.Context(), role, metav1.UpdateOptions{})
		require.NoError(t, err)
		assert.Equal(t, 1, c.disturbed(t, run), "the permission is missed")
		assert.Contains(t, strings.ToLower(run.stderr.String()), "forbidden")
		require.NoError(t, roles.Delete(t.Context(), role.Name, metav1.DeleteOptions{}))
		c.sweep(t)
		ended(t)
	}
}

// sweep has another command remove what one could not that had lost its permissions.
func (c trial) sweep(t *testing.T) {
	t.Helper()
	c.forgetLock(t)
	c.succeed(t, "migrate", "--resources", "secrets")
}

// operator is a user with one role, by their kubeconfig.
func (c trial) operator(t *testing.T, role string) string {
	t.Helper()
	path := c.restricted(t)
	bindings := c.client.RbacV1().ClusterRoleBindings()
	_, err := bindings.Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: "e2e-viewer", Namespace: seedNamespace}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
	}, metav1.CreateOptions{})
	requireMade(t, err)
	t.Cleanup(func() {
		_ = bindings.Delete(context.WithoutCancel(t.Context()), role, metav1.DeleteOptions{})
	})
	return path
}

// etcdStill has the etcd of one node stand still for 20 s in the middle of the migration, and those of two of three, without which there
// is no leader.
func etcdStill(t *testing.T, c trial) {
	c.stopEtcds(t, c.nodes[:1])
	if len(c.nodes) > 2 {
		c.stopEtcds(t, c.nodes[:2])
	}
}

// stopEtcds has the etcds of some nodes stand still while the run is at work, which migrates too slowly to come to its end by then.
func (c trial) stopEtcds(t *testing.T, nodes []*node) {
	t.Helper()
	const still = 20 * time.Second
	c.row.Tried++
	ended := c.toAnotherKey(t)
	run := c.begin(t, "rotate", "--yes", "--max-rate", "1")
	_, ok := run.until(func(e event) bool { return e.Event == "migration-progress" && e.Done > 1 })
	require.True(t, ok, "%s", &run.stderr)
	signal := func(name string) {
		for _, n := range nodes {
			c.exec(t, n, "sh", "-ec", `kill -`+name+` "$(pidof etcd)"`)
		}
	}
	signal("STOP")
	select {
	case <-run.ended:
		assert.Fail(t, "a run is at work while etcd stands still", "%s", &run.stderr)
	case <-time.After(still):
	}
	signal("CONT")
	c.disturbed(t, run)
	c.awaitCalm(t)
	ended(t)
}

// serverKilled kills a kube-apiserver at every moment of a rotation.
func serverKilled(t *testing.T, c trial) {
	way, times := c.rotation(t), 0
	way.restarts = true
	c.everyMoment(t, way, func(t *testing.T, _ *process) {
		t.Helper()
		n := c.nodes[times%len(c.nodes)]
		times++
		// A kubelet that has seen a container end before waits longer each time, up to minutes; one that was started anew has not.
		c.exec(t, n, "sh", "-ec", `kill -KILL "$(pidof kube-apiserver)"; kill -KILL "$(pidof kubelet)"`)
	})
}

// kubeletStill has the kubelet of a node stand still, so that no agent starts there.
func kubeletStill(t *testing.T, c trial) {
	c.row.Tried++
	n := c.nodes[len(c.nodes)-1]
	pid := strings.TrimSpace(c.exec(t, n, "pidof", "kubelet"))
	c.exec(t, n, "kill", "-STOP", pid)
	before := c.digests(t)
	r := c.plugin(t, "rotate", "--yes", "--job-timeout", "10s")
	c.exec(t, n, "kill", "-CONT", pid)
	t.Log(r.failure())
	assert.Equal(t, 1, r.code)
	told(t, r.code, r.stderr)
	assert.Contains(t, r.stderr, n.name)
	assert.Equal(t, before, c.digests(t), "no file is changed on any node, since not every node can be changed")
	c.awaitCalm(t)
	c.succeed(t, "rotate", "--yes")
	c.survived(t)
}

// powerLost cuts the power of a node when files are being changed, and when objects are being migrated.
func powerLost(t *testing.T, c trial) {
	files := c.fileStages()
	for _, stage := range []string{files[len(files)-1], "migrate"} {
		c.row.Tried++
		ended := c.toAnotherKey(t)
		n := c.nodes[len(c.nodes)-1]
		run := c.begin(t, "rotate", "--yes", "--max-rate", "20")
		_, ok := run.until(func(e event) bool { return e.starts(stage) })
		require.True(t, ok, "%s", &run.stderr)
		c.reboot(t, n)
		code := run.wait(t)
		t.Logf("exit code %d: %s", code, &run.stderr)
		require.Contains(t, []int{0, 1, 124}, code)
		told(t, code, run.stderr.String())
		c.awaitCalm(t)
		c.awaitSteady(t)
		if code != 0 {
			c.succeed(t, again("rotate")...)
		}
		ended(t)
	}
}

// symbolicLink has a link in the place of the file. Replacing it would leave the file that it leads to as it was.
func symbolicLink(t *testing.T, c trial) {
	c.row.Tried++
	n := c.nodes[len(c.nodes)-1]
	file := filepath.Join(n.configFolder(), "real.yaml")
	require.NoError(t, os.Rename(n.configFile(), file))
	require.NoError(t, os.Symlink("real.yaml", n.configFile()))
	c.refuse(t, []string{n.name, "symbolic link"}, "rotate", "--yes")
	c.refuse(t, []string{n.name, "symbolic link"}, "repair", "--yes")
	require.NoError(t, os.Rename(file, n.configFile()))
	c.succeed(t, "rotate", "--yes")
	c.survived(t)
}

// planted has what an earlier, killed run may have left lie about: Jobs, and files of an agent in the folder.
func planted(t *testing.T, c trial) {
	c.row.Tried++
	n := c.nodes[0]
	const agents, somebodys = ".config.yaml.0badcafe.kubectl-encryption", ".config.yaml.swp"
	for _, name := range []string{agents, somebodys} {
		require.NoError(t, os.WriteFile(filepath.Join(n.configFolder(), name), []byte("cut off in the mid"), 0o600))
	}
	c.succeed(t, "rotate", "--yes")
	left, err := filepath.Glob(filepath.Join(n.configFolder(), ".*"))
	require.NoError(t, err)
	assert.Equal(t, []string{filepath.Join(n.configFolder(), somebodys)}, left, "what is not the agent's stays, and nothing else")
	require.NoError(t, os.Remove(filepath.Join(n.configFolder(), somebodys)))
	c.survived(t)
}
