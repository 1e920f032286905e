// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package catalogue says which faults there are, and where each is tried: by a case of the fault suite, or by a test that
// is there anyway.
//
// Rules of the package:
//
//  1. Every row of the catalogue is tried somewhere, or says why it is not.
//  2. Every case and every test that is named exists: the tests of this package look into the sources.
//  3. A suite tries exactly the cases that are listed for it here.
package catalogue

// Suite is where a case is tried.
type Suite string

// Where cases are tried.
const (
	// Bare is a control plane without nodes: test/integration, with the build tags integration and faults.
	Bare Suite = "bare"
	// Node is a real cluster of one node: test/e2e, with the build tags e2e and faults.
	Node Suite = "node"
)

// Case is a fault that the suite injects.
type Case struct {
	Name  string
	Suite Suite
	// Short: it belongs to the short set, which `make test` runs.
	Short bool
	// Rows of the catalogue that the case tries.
	Rows []int
}

// Cases are all cases, in the order in which they are tried.
func Cases() []Case {
	return append(bareCases(), nodeCases()...)
}

func bareCases() []Case {
	return []Case{
		{"429 without Retry-After", Bare, true, []int{44}},
		{"429 with Retry-After", Bare, false, []int{44}},
		{"503 and 504", Bare, true, []int{45}},
		{"a connection that breaks before the request arrives", Bare, true, []int{8, 45}},
		{"an answer that is lost after the write", Bare, true, []int{46}},
		{"a connection that breaks in the middle of an answer", Bare, true, []int{45}},
		{"every connection cut, again and again", Bare, true, []int{8, 45}},
		{"answers that are slow", Bare, false, []int{53}},
		{"requests that are never answered", Bare, false, []int{45}},
		{"a continue token that expires, and none to go on with", Bare, false, []int{47}},
		{"pages of HTML in place of answers", Bare, true, []int{92}},
		{"credentials that are refused for a moment", Bare, false, []int{78}},
		{"all of that at once", Bare, true, []int{45, 46}},
		{"etcd without a leader for 20 s", Bare, false, []int{50}},
	}
}

func nodeCases() []Case {
	return []Case{
		{"SIGKILL at every step of rotate", Node, true, []int{1, 2, 3, 4, 5, 6, 17}},
		{"SIGKILL at every step of migrate", Node, false, []int{5}},
		{"SIGKILL at every step of disable and enable", Node, false, []int{83}},
		{"SIGKILL at every step of disable and enable, flags included", Node, false, []int{37, 83}},
		{"four operators at once", Node, false, []int{72}},
		{"an operator's machine that sleeps in the migration", Node, false, []int{8, 73}},
		{"a network that fails again and again", Node, true, []int{8, 15, 44, 45, 46}},
		{"every connection cut at every step", Node, false, []int{8, 15}},
		{"credentials that end at every step", Node, false, []int{78}},
		{"a server's clock that is an hour ahead, and behind", Node, false, []int{32}},
		{"the agents' pods are deleted while they work", Node, true, []int{9, 10, 15}},
		{"the agents' Jobs are removed as soon as they are there", Node, false, []int{16}},
		{"a node that is cordoned and tainted NoExecute", Node, false, []int{12}},
		{"kube-system enforces the restricted Pod Security Standard", Node, false, []int{79}},
		{"a read-only folder", Node, false, []int{20}},
		{"a folder without room", Node, false, []int{19}},
		{"a permission that is taken away in the middle", Node, false, []int{77}},
		{"the etcd of a node stands still for 20 s", Node, false, []int{50, 53}},
		{"a kube-apiserver that is killed at every step", Node, false, []int{42, 48}},
		{"agents that say what no agent says", Node, false, []int{15, 90, 91}},
		{"an operator's clock that is an hour ahead, and behind", Node, false, []int{32}},
		{"what others left in the folder", Node, false, []int{17}},
	}
}

// Of are the cases of one suite, all of them or those of the short set.
func Of(s Suite, full bool) (list []Case) {
	for _, c := range Cases() {
		if c.Suite == s && (full || c.Short) {
			list = append(list, c)
		}
	}
	return list
}

// Has tells whether a suite has a case.
func Has(s Suite, name string) bool {
	for _, c := range Of(s, true) {
		if c.Name == name {
			return true
		}
	}
	return false
}
