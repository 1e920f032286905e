// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdkey

import "strings"

// builtInGroup tells whether the resources of a group are compiled into kube-apiserver and stored without the group. These
// are the groups of Kubernetes 1.30 to 1.37; one without a dot can't be that of a custom resource.
func builtInGroup(group string) bool {
	switch group {
	case "admissionregistration.k8s.io", "certificates.k8s.io", "coordination.k8s.io", "discovery.k8s.io", "events.k8s.io",
		"flowcontrol.apiserver.k8s.io", "internal.apiserver.k8s.io", "lifecycle.k8s.io", "networking.k8s.io", "node.k8s.io",
		"rbac.authorization.k8s.io", "resource.k8s.io", "scheduling.k8s.io", "storage.k8s.io", "storagemigration.k8s.io":
		return true
	}
	return !strings.Contains(group, ".")
}

// builtIn gives group and scope of a resource of Kubernetes 1.30 to 1.37 that is stored without its group
// (k8s.io/kubernetes@v1.37.1 test/integration/etcd/data.go, and that file in 1.30 and 1.31 for what is gone since). No two
// of them have one name: they could not be told apart in etcd.
func builtIn(resource string) (group string, scope Scope, known bool) {
	switch resource {
	case "configmaps", "endpoints", "events", "limitranges", "persistentvolumeclaims", "pods", "podtemplates",
		"replicationcontrollers", "resourcequotas", "secrets", "serviceaccounts", "services":
		return "", Namespaced, true
	case "namespaces", "nodes", "persistentvolumes":
		return "", ClusterScoped, true
	case "controllerrevisions", "daemonsets", "deployments", "replicasets", "statefulsets":
		return "apps", Namespaced, true
	case "horizontalpodautoscalers":
		return "autoscaling", Namespaced, true
	case "cronjobs", "jobs":
		return "batch", Namespaced, true
	case "poddisruptionbudgets":
		return "policy", Namespaced, true
	case "leases", "leasecandidates":
		return "coordination.k8s.io", Namespaced, true
	case "endpointslices":
		return "discovery.k8s.io", Namespaced, true
	case "ingresses", "networkpolicies":
		return "networking.k8s.io", Namespaced, true
	case "ingressclasses", "ipaddresses", "servicecidrs":
		return "networking.k8s.io", ClusterScoped, true
	case "roles", "rolebindings":
		return "rbac.authorization.k8s.io", Namespaced, true
	case "clusterroles", "clusterrolebindings":
		return "rbac.authorization.k8s.io", ClusterScoped, true
	case "csistoragecapacities":
		return "storage.k8s.io", Namespaced, true
	case "csidrivers", "csinodes", "storageclasses", "volumeattachments", "volumeattributesclasses":
		return "storage.k8s.io", ClusterScoped, true
	}
	return builtInOfFew(resource)
}

// builtInOfFew goes on with what most clusters have few or none of.
func builtInOfFew(resource string) (group string, scope Scope, known bool) {
	switch resource {
	case "mutatingadmissionpolicies", "mutatingadmissionpolicybindings", "mutatingwebhookconfigurations",
		"validatingadmissionpolicies", "validatingadmissionpolicybindings", "validatingwebhookconfigurations":
		return "admissionregistration.k8s.io", ClusterScoped, true
	case "certificatesigningrequests", "clustertrustbundles":
		return "certificates.k8s.io", ClusterScoped, true
	case "podcertificaterequests":
		return "certificates.k8s.io", Namespaced, true
	case "flowschemas", "prioritylevelconfigurations":
		return "flowcontrol.apiserver.k8s.io", ClusterScoped, true
	case "storageversions":
		return "internal.apiserver.k8s.io", ClusterScoped, true
	case "evictions", "evictionrequests":
		return "lifecycle.k8s.io", Namespaced, true
	case "runtimeclasses":
		return "node.k8s.io", ClusterScoped, true
	case "podschedulingcontexts", "resourceclaimparameters", "resourceclaims", "resourceclaimtemplates", "resourceclassparameters":
		return "resource.k8s.io", Namespaced, true
	case "deviceclasses", "devicetaintrules", "resourceclasses", "resourcepoolstatusrequests", "resourceslices":
		return "resource.k8s.io", ClusterScoped, true
	case "compositepodgroups", "podgroups", "workloads":
		return "scheduling.k8s.io", Namespaced, true
	case "priorityclasses":
		return "scheduling.k8s.io", ClusterScoped, true
	case "storageversionmigrations":
		return "storagemigration.k8s.io", ClusterScoped, true
	}
	return "", AnyScope, false
}

// folderOf is where a built-in resource is stored below the root (rule 2).
func folderOf(resource string) string {
	switch resource {
	case "nodes":
		return "minions"
	case "services":
		return "services/specs"
	case "endpoints":
		return "services/endpoints"
	case "replicationcontrollers":
		return "controllers"
	case "ingresses":
		return "ingress"
	}
	return resource
}

// resourceIn is the built-in resource in a folder, the reverse of folderOf.
func resourceIn(folder string) string {
	switch folder {
	case "minions":
		return "nodes"
	case "services/specs":
		return "services"
	case "services/endpoints":
		return "endpoints"
	case "controllers":
		return "replicationcontrollers"
	case "ingress":
		return "ingresses"
	case "nodes", "services", "endpoints", "replicationcontrollers", "ingresses":
		return "" // nobody writes there
	}
	return folder
}

// own tells whether a folder is kube-apiserver's bookkeeping (rule 7).
func own(folder string) bool {
	return folder == "ranges" || folder == "masterleases" || folder == "peerserverleases"
}
