// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"strings"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agentapi"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

const (
	guardManifestName = project.Guard + ".yaml"
	// guardTempName is passed over by the kubelet, which takes no hidden file for a pod
	// (k8s.io/kubernetes@v1.37.1 pkg/kubelet/config/file.go).
	guardTempName = "." + guardManifestName + tempEnd

	nodeLogDir = "/var/log/pods"
)

// GuardCommand is the argument that makes a guard of the agent.
const GuardCommand = "guard"

// guardPod is the manifest of the guard's static pod. It asks for no more than the guard's work needs: root, since the
// files are root's, but no capability; the node's network, since the kube-apiserver is asked over loopback; three
// folders. A static pod has no service account, and needs no API server to be started, again after a reboot too.
//
// The time makes a guard that is called once more another pod, or the kubelet would not start it again.
func guardPod(image, run string, now time.Time) []byte {
	return []byte(strings.NewReplacer(
		"{name}", project.Name,
		"{guard}", project.Guard,
		"{namespace}", project.Namespace,
		"{labelName}", project.LabelName,
		"{labelComponent}", project.LabelComponent,
		"{labelRun}", project.LabelRun,
		"{called}", now.UTC().Format(time.RFC3339Nano),
		"{run}", run,
		"{image}", image,
		"{command}", GuardCommand,
		"{manifests}", project.NodeManifestDir, "{manifestsHere}", agentapi.ManifestDir,
		"{history}", project.NodeHistoryDir, "{historyHere}", agentapi.HistoryDir,
		"{logs}", nodeLogDir, "{logsHere}", agentapi.LogDir,
	).Replace(guardTemplate))
}

// isGuardOf tells whether a manifest is that of the guard of a run.
func isGuardOf(manifest []byte, run string) bool {
	return strings.Contains(string(manifest), "\n"+runArgument(run)+"\n")
}

func runArgument(run string) string { return fmt.Sprintf("    - --run=%s", run) }

const guardTemplate = `# Edits the manifest of kube-apiserver on this node and puts it back if that does not work. It goes by itself.
apiVersion: v1
kind: Pod
metadata:
  annotations:
    {name}/called: "{called}"
  labels:
    {labelComponent}: guard
    {labelName}: {name}
    {labelRun}: "{run}"
  name: {guard}
  namespace: {namespace}
spec:
  automountServiceAccountToken: false
  containers:
  - args:
    - {command}
    - --run={run}
    image: {image}
    imagePullPolicy: IfNotPresent
    name: guard
    resources:
      limits:
        cpu: 500m
        memory: 64Mi
      requests:
        cpu: 10m
        memory: 16Mi
    securityContext:
      allowPrivilegeEscalation: false
      capabilities:
        drop:
        - ALL
      privileged: false
      readOnlyRootFilesystem: true
      runAsGroup: 0
      runAsUser: 0
    volumeMounts:
    - mountPath: {historyHere}
      name: history
    - mountPath: {logsHere}
      name: logs
      readOnly: true
    - mountPath: {manifestsHere}
      name: manifests
  dnsPolicy: Default
  enableServiceLinks: false
  hostNetwork: true
  priority: 2000001000
  priorityClassName: system-node-critical
  restartPolicy: OnFailure
  securityContext:
    seccompProfile:
      type: RuntimeDefault
  terminationGracePeriodSeconds: 5
  tolerations:
  - operator: Exists
  volumes:
  - hostPath:
      path: {history}
      type: Directory
    name: history
  - hostPath:
      path: {logs}
      type: DirectoryOrCreate
    name: logs
  - hostPath:
      path: {manifests}
      type: Directory
    name: manifests
`
