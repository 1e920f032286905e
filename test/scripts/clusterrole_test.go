// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package scripts_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/migrator"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/observe"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/operation"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/verify"
)

const rolesFile = "../../docs/clusterrole.yaml"

// grants are permissions by the name of the role that grants them, with the role's namespace in each.
type grants map[string][]kube.Permission

// TestClusterRoleGrantsWhatTheProgramAsksFor holds the documented roles against the code, in both directions: each
// permission that the code asks for is granted, and each one that is granted is asked for.
func TestClusterRoleGrantsWhatTheProgramAsksFor(t *testing.T) {
	t.Parallel()
	granted, _ := loadRoles(t)
	viewer, operator := granted["kubectl-encryption-viewer"], granted["kubectl-encryption-operator"]
	assert.ElementsMatch(t, texts(observe.Permissions()), texts(viewer), "what viewers need for status")
	changes := slices.Concat(operation.Permissions(), migrations("secrets", "configmaps"), migrator.Courtesies(), observe.LeaveOutPermissions())
	assert.ElementsMatch(t, texts(changes), texts(append(viewer, operator...)), "what operators need for changes")
	assert.Subset(t, texts(append(viewer, operator...)), texts(verify.Permissions()), "what operators need to verify")
	assert.Len(t, granted, 2, "roles that nobody needs")
}

// migrations is what is asked for once it is known which resources are encrypted; the file has the usual two.
func migrations(resources ...string) []kube.Permission {
	var list []kube.Permission
	for _, resource := range resources {
		list = append(list, kube.Permission{Verb: "list", Resource: resource}, kube.Permission{Verb: "patch", Resource: resource})
	}
	return list
}

// TestEachRoleIsBoundInItsScope sees to it that no role of the file lacks its binding, and that operators are given
// what viewers are.
func TestEachRoleIsBoundInItsScope(t *testing.T) {
	t.Parallel()
	_, bound := loadRoles(t)
	viewers, operators := "encryption-viewers", "encryption-operators"
	assert.Equal(t, map[string][]string{
		"ClusterRole kubectl-encryption-viewer in ":           {viewers, operators},
		"Role kubectl-encryption-viewer in kube-system":       {viewers, operators},
		"Role kubectl-encryption-viewer in default":           {viewers, operators},
		"ClusterRole kubectl-encryption-operator in ":         {operators},
		"Role kubectl-encryption-operator in kube-system":     {operators},
		"Role kubectl-encryption-operator in kube-node-lease": {operators},
	}, bound)
}

// loadRoles reads the file strictly. bound are the groups by role and scope.
func loadRoles(t *testing.T) (granted grants, bound map[string][]string) {
	t.Helper()
	data, err := os.ReadFile(rolesFile)
	require.NoError(t, err)
	granted, bound = grants{}, map[string][]string{}
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return granted, bound
		}
		require.NoError(t, err)
		obj, _, err := scheme.Codecs.UniversalDeserializer().Decode(document, nil, nil)
		require.NoError(t, err)
		switch o := obj.(type) {
		case *rbacv1.ClusterRole:
			granted.add(t, o.Name, "", o.Rules)
		case *rbacv1.Role:
			granted.add(t, o.Name, o.Namespace, o.Rules)
		case *rbacv1.ClusterRoleBinding:
			bound[o.RoleRef.Kind+" "+o.RoleRef.Name+" in "] = groups(o.Subjects)
		case *rbacv1.RoleBinding:
			bound[o.RoleRef.Kind+" "+o.RoleRef.Name+" in "+o.Namespace] = groups(o.Subjects)
		default:
			require.Failf(t, "unexpected object", "%T", obj)
		}
	}
}

func groups(subjects []rbacv1.Subject) []string {
	var names []string
	for _, s := range subjects {
		names = append(names, s.Name)
	}
	return names
}

// add takes rules apart into single permissions.
func (g grants) add(t *testing.T, role, namespace string, rules []rbacv1.PolicyRule) {
	t.Helper()
	for _, rule := range rules {
		require.Empty(t, rule.ResourceNames, "the program asks for permissions without names")
		for _, verb := range rule.Verbs {
			for _, path := range rule.NonResourceURLs {
				g[role] = append(g[role], kube.Permission{Verb: verb, Path: path})
			}
			for _, gr := range groupResources(rule) {
				resource, subresource, _ := strings.Cut(gr.Resource, "/")
				g[role] = append(g[role], kube.Permission{
					Verb: verb, Group: gr.Group, Resource: resource, Subresource: subresource, Namespace: namespace,
				})
			}
		}
	}
}

func groupResources(rule rbacv1.PolicyRule) []schema.GroupResource {
	var list []schema.GroupResource
	for _, group := range rule.APIGroups {
		for _, resource := range rule.Resources {
			list = append(list, schema.GroupResource{Group: group, Resource: resource})
		}
	}
	return list
}

func texts(list []kube.Permission) []string {
	out := make([]string, len(list))
	for i, p := range list {
		out[i] = p.String()
	}
	return out
}
