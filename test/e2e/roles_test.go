// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
)

// right is one verb of one rule of the shipped roles.
type right struct {
	Role, Namespace                    string
	Verb, Group, Resource, Subresource string
	Path                               string
}

func (r right) String() string {
	if r.Path != "" {
		return r.Verb + " " + r.Path
	}
	text := r.Verb + " " + r.Resource
	if r.Group != "" {
		text += "." + r.Group
	}
	if r.Subresource != "" {
		text += "/" + r.Subresource
	}
	if r.Namespace != "" {
		text += " in " + r.Namespace
	}
	return text
}

// shippedRights are all of them, taken apart.
func shippedRights(t *testing.T) (list []right) {
	t.Helper()
	for _, role := range shippedRoles(t) {
		for _, rule := range rulesOf(t, role) {
			list = append(list, apart(role, rule)...)
		}
	}
	require.NotEmpty(t, list)
	return list
}

func shippedRoles(t *testing.T) (roles []*unstructured.Unstructured) {
	t.Helper()
	file, err := os.ReadFile(rolesFile)
	require.NoError(t, err)
	return slices.DeleteFunc(documents(t, file), func(o *unstructured.Unstructured) bool {
		return !strings.HasSuffix(o.GetKind(), "Role")
	})
}

func rulesOf(t *testing.T, role *unstructured.Unstructured) []rbacv1.PolicyRule {
	t.Helper()
	var typed rbacv1.ClusterRole
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(role.Object, &typed))
	return typed.Rules
}

// apart gives each verb on each thing that a rule is about.
func apart(role *unstructured.Unstructured, rule rbacv1.PolicyRule) (list []right) {
	for _, verb := range rule.Verbs {
		for _, path := range rule.NonResourceURLs {
			list = append(list, right{Role: role.GetName(), Verb: verb, Path: path})
		}
		for _, group := range rule.APIGroups {
			for _, name := range rule.Resources {
				resource, sub, _ := strings.Cut(name, "/")
				list = append(list, right{
					Role: role.GetName(), Namespace: role.GetNamespace(), Verb: verb, Group: group, Resource: resource, Subresource: sub,
				})
			}
		}
	}
	return list
}

// rules makes rules of rights again.
func rules(list []right) (all []rbacv1.PolicyRule) {
	for _, r := range list {
		rule := rbacv1.PolicyRule{Verbs: []string{r.Verb}}
		switch name := r.Resource; {
		case r.Path != "":
			rule.NonResourceURLs = []string{r.Path}
		case r.Subresource != "":
			name += "/" + r.Subresource
			fallthrough
		default:
			rule.APIGroups, rule.Resources = []string{r.Group}, []string{name}
		}
		all = append(all, rule)
	}
	return all
}

// ignoring is a command that asks for all rights, those for --ignore-node among them.
var ignoring = []string{"rotate", "--dry-run", "--ignore-node", "nobody"}

// checkRoles requires that the plugin needs each right of the shipped roles. That they are enough all the tests show:
// they are all that the plugin is run with.
func (c *cluster) checkRoles(t *testing.T) {
	t.Run("each right is used, or is the other way of one that is", c.checkRightsAreUsed)
	t.Run("without any one of them it is said before anything is changed", c.checkRightsAreAskedFor)
}

// otherWay are rights to connect with POST, which kubectl's libraries do where WebSockets, with GET, do not get through
// (k8s.io/client-go@v0.37.2 tools/remotecommand/fallback.go).
func (r right) otherWay() bool {
	return r.Verb == "create" && slices.Contains([]string{"attach", "portforward"}, r.Subresource)
}

// usedElsewhere are rights that no request here needs: which namespaces there are is asked where a webhook selects
// among them, which test/integration has (webhook_test.go).
func (r right) usedElsewhere() bool { return r.Resource == "namespaces" }

// checkRightsAreUsed holds the rights against the requests that the tests have made until now, as the audit log has
// them.
func (c *cluster) checkRightsAreUsed(t *testing.T) {
	c.succeed(t, ignoring...)
	used := c.audited(t)
	require.NotEmpty(t, used)
	for _, r := range shippedRights(t) {
		if r.usedElsewhere() {
			continue
		}
		at := r
		at.Role = ""
		anywhere := at
		anywhere.Namespace = "" // of a right in all namespaces some are used
		ok := used[at] || at.Namespace == "" && slices.ContainsFunc(keysOf(used), func(u right) bool { u.Namespace = ""; return u == anywhere })
		if r.otherWay() {
			at.Verb = "get"
			ok = used[at]
		}
		assert.True(t, ok, "%s: the role %s grants %q, and no request needed it", rolesFile, r.Role, r)
	}
}

func keysOf(m map[right]bool) (list []right) {
	for k := range m {
		list = append(list, k)
	}
	return list
}

// audited are the requests of the operator that needed a right and were granted. None may have been forbidden.
func (c *cluster) audited(t *testing.T) map[right]bool {
	t.Helper()
	used := map[right]bool{}
	for _, n := range c.nodes {
		file, err := os.Open(filepath.Join(n.root, "var/log/kubernetes/audit/audit.log"))
		require.NoError(t, err)
		defer func() { _ = file.Close() }()
		lines := bufio.NewScanner(file)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if !strings.Contains(lines.Text(), `"username":"`+operatorName+`"`) {
				continue
			}
			var e struct {
				Verb, RequestURI string
				ObjectRef        *struct{ APIGroup, Resource, Subresource, Namespace string }
				ResponseStatus   struct{ Code int }
			}
			require.NoError(t, json.Unmarshal(lines.Bytes(), &e))
			assert.NotEqual(t, http.StatusForbidden, e.ResponseStatus.Code, "%s %s", e.Verb, e.RequestURI)
			r := right{Verb: e.Verb}
			if ref := e.ObjectRef; ref != nil {
				r.Group, r.Resource, r.Subresource, r.Namespace = ref.APIGroup, ref.Resource, ref.Subresource, ref.Namespace
			} else {
				r.Path, _, _ = strings.Cut(e.RequestURI, "?")
			}
			used[r] = true
		}
		require.NoError(t, lines.Err())
	}
	return used
}

// isCourtesy is about rights without which a migration goes on and says less. That they are used is shown by the audit log.
func (r right) isCourtesy() bool {
	return r.Group == "admissionregistration.k8s.io" || r.Resource == "namespaces" || r.Resource == "storageversionmigrations"
}

// checkRightsAreAskedFor takes each right away by itself: a command asks for it before it begins, and names it.
func (c *cluster) checkRightsAreAskedFor(t *testing.T) {
	defer c.applyShippedRoles(t)
	all := shippedRights(t)
	for i, r := range all {
		if r.isCourtesy() {
			continue
		}
		t.Run(r.String(), func(t *testing.T) {
			c.grant(t, slices.Delete(slices.Clone(all), i, i+1))
			c.awaitForbidden(t, r)
			c.refuse(t, []string{r.said(), "nothing was changed"}, ignoring...)
		})
	}
}

// said is how the plugin names what is missing.
func (r right) said() string {
	text, _, _ := strings.Cut(r.String(), " in ")
	return text
}

// grant leaves the shipped roles with some of their rights.
func (c *cluster) grant(t *testing.T, list []right) {
	t.Helper()
	for _, role := range shippedRoles(t) {
		its := slices.DeleteFunc(slices.Clone(list), func(r right) bool { return r.Role != role.GetName() || !inScope(r, role) })
		object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&rbacv1.ClusterRole{Rules: rules(its)})
		require.NoError(t, err)
		role.Object["rules"] = object["rules"]
		c.applyRole(t, role)
	}
}

func inScope(r right, role *unstructured.Unstructured) bool {
	return r.Namespace == role.GetNamespace()
}

// awaitForbidden waits until the kube-apiserver has learned that a right is gone.
func (c *cluster) awaitForbidden(t *testing.T, r right) {
	t.Helper()
	_, client := connect(t, c.user)
	const often = 10 * time.Millisecond
	err := wait.PollUntilContextTimeout(t.Context(), often, waitLimit, true, func(ctx context.Context) (bool, error) {
		allowed, err := r.allowed(ctx, client)
		return !allowed, err
	})
	require.NoError(t, err, "%s is not granted any more", r)
}

func (r right) allowed(ctx context.Context, client kubernetes.Interface) (bool, error) {
	review := &authorizationv1.SelfSubjectAccessReview{}
	if r.Path != "" {
		review.Spec.NonResourceAttributes = &authorizationv1.NonResourceAttributes{Verb: r.Verb, Path: r.Path}
	} else {
		review.Spec.ResourceAttributes = &authorizationv1.ResourceAttributes{
			Verb: r.Verb, Group: r.Group, Resource: r.Resource, Subresource: r.Subresource, Namespace: r.Namespace,
		}
	}
	answer, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("ask for %s: %w", r, err)
	}
	return answer.Status.Allowed, nil
}
