// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"
)

const (
	// operatorName is who runs the plugin in these tests, with the shipped roles and nothing more.
	operatorName  = "e2e-operator"
	operatorGroup = "encryption-operators"
	rolesFile     = "../../docs/clusterrole.yaml"
)

// furtherRoles are what the shipped file says in words: rights for a further resource, for wildcards and for the
// cluster's own controller.
const furtherRoles = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: e2e-operator-further}
rules:
- {apiGroups: ["e2e.example.com"], resources: ["widgets"], verbs: ["list", "patch"]}
- {apiGroups: [""], resources: ["podtemplates"], verbs: ["list", "patch"]}
- {apiGroups: ["apiregistration.k8s.io"], resources: ["apiservices"], verbs: ["list"]}
- {apiGroups: ["storagemigration.k8s.io"], resources: ["storageversionmigrations"], verbs: ["create", "get", "list", "delete"]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: e2e-operator-further}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: e2e-operator-further}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: Group, name: encryption-operators}
`

// operator gives the cluster the shipped roles, and the path of a kubeconfig of somebody in their group, made as the
// file says.
func (c *cluster) operator(t *testing.T) string {
	t.Helper()
	c.applyShippedRoles(t)
	c.applyRoles(t, []byte(furtherRoles))
	made, err := clientcmd.Load([]byte(c.exec(t, c.nodes[0], "kubeadm", "kubeconfig", "user",
		"--client-name", operatorName, "--org", operatorGroup)))
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "operator.kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(api.Config{
		Clusters: map[string]*api.Cluster{operatorName: {
			Server: c.config.Host, CertificateAuthorityData: c.config.CAData, CertificateAuthority: c.config.CAFile,
			TLSServerName: c.config.ServerName,
		}},
		AuthInfos:      map[string]*api.AuthInfo{operatorName: made.AuthInfos[operatorName]},
		Contexts:       map[string]*api.Context{operatorName: {Cluster: operatorName, AuthInfo: operatorName}},
		CurrentContext: operatorName,
	}, path))
	return path
}

func (c *cluster) applyShippedRoles(t *testing.T) {
	t.Helper()
	shipped, err := os.ReadFile(rolesFile)
	require.NoError(t, err)
	c.applyRoles(t, shipped)
}

// applyRoles makes or replaces all objects of a file.
func (c *cluster) applyRoles(t *testing.T, file []byte) {
	t.Helper()
	for _, o := range documents(t, file) {
		c.applyRole(t, o)
	}
}

func (c *cluster) applyRole(t *testing.T, o *unstructured.Unstructured) {
	t.Helper()
	client, err := dynamic.NewForConfig(c.config)
	require.NoError(t, err)
	gvr := schema.GroupVersionResource{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: strings.ToLower(o.GetKind()) + "s"}
	var roles dynamic.ResourceInterface = client.Resource(gvr)
	if o.GetNamespace() != "" {
		roles = client.Resource(gvr).Namespace(o.GetNamespace())
	}
	_, err = roles.Create(t.Context(), o, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		_, err = roles.Update(t.Context(), o, metav1.UpdateOptions{})
	}
	require.NoError(t, err, "%s %s", o.GetKind(), o.GetName())
}

// documents are the objects of a YAML file.
func documents(t *testing.T, file []byte) (list []*unstructured.Unstructured) {
	t.Helper()
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(file)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return list
		}
		require.NoError(t, err)
		o := &unstructured.Unstructured{}
		require.NoError(t, yaml.Unmarshal(document, &o.Object))
		list = append(list, o)
	}
}
