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
	// Node is a real cluster: test/e2e, with the build tags e2e and faults.
	Node Suite = "node"
)

// Case is a fault that the suite injects.
type Case struct {
	Name  string
	Suite Suite
	// Short: it belongs to the short set, which `make test` runs.
	Short bool
	// Many: of a real cluster, it needs several nodes to go wrong in between. The short set has one node all the same.
	Many bool
	// Rows of the catalogue that the case tries.
	Rows []int
}

// Cases are all cases, in the order in which they are tried.
func Cases() []Case {
	return append(of(Bare, bareCases()), of(Node, nodeCases())...)
}

func of(s Suite, list []Case) []Case {
	for i := range list {
		list[i].Suite = s
	}
	return list
}

func bareCases() []Case {
	return []Case{
		{Name: "429 without Retry-After", Short: true, Rows: []int{44}},
		{Name: "429 with Retry-After", Rows: []int{44}},
		{Name: "503 and 504", Short: true, Rows: []int{45}},
		{Name: "a connection that breaks before the request arrives", Short: true, Rows: []int{8, 45}},
		{Name: "an answer that is lost after the write", Short: true, Rows: []int{46}},
		{Name: "a connection that breaks in the middle of an answer", Short: true, Rows: []int{45}},
		{Name: "every connection cut, again and again", Short: true, Rows: []int{8, 45}},
		{Name: "answers that are slow", Rows: []int{53}},
		{Name: "requests that are never answered", Rows: []int{45}},
		{Name: "a continue token that expires, and none to go on with", Rows: []int{47}},
		{Name: "pages of HTML in place of answers", Short: true, Rows: []int{92}},
		{Name: "credentials that are refused for a moment", Rows: []int{78}},
		{Name: "all of that at once", Short: true, Rows: []int{45, 46}},
		{Name: "etcd without a leader for 20 s", Rows: []int{50}},
	}
}

func nodeCases() []Case {
	return []Case{
		{Name: "SIGKILL at every step of rotate", Short: true, Many: true, Rows: []int{1, 2, 3, 4, 5, 6, 17}},
		{Name: "SIGKILL at every step of migrate", Rows: []int{5}},
		{Name: "SIGKILL at every step of disable and enable", Rows: []int{83}},
		{Name: "SIGKILL at every step of disable and enable, flags included", Many: true, Rows: []int{37, 83}},
		{Name: "SIGKILL at every step of rollback", Many: true, Rows: []int{95}},
		{Name: "SIGKILL at every step of prune", Many: true, Rows: []int{6, 96}},
		{Name: "SIGKILL at every step of repair, of the only file", Rows: []int{23, 97}},
		{Name: "SIGKILL at every step of repair, of nodes that all differ", Many: true, Rows: []int{23, 25, 97}},
		{Name: "Ctrl-C at every step of rotate", Rows: []int{7}},
		{Name: "four operators at once", Rows: []int{72}},
		{Name: "two operators at once, one of them with a repair", Rows: []int{72, 97}},
		{Name: "an operator's machine that sleeps in the migration", Rows: []int{8, 73}},
		{Name: "an operator's clock that is an hour ahead, and behind", Rows: []int{32}},
		{Name: "somebody who edits the file of a node again and again", Many: true, Rows: []int{24, 35}},
		{Name: "a permission that is taken away in the middle", Rows: []int{77}},
		{Name: "a network that fails again and again", Short: true, Rows: []int{8, 15, 44, 45, 46, 88}},
		{Name: "every connection cut at every step", Rows: []int{8, 15}},
		{Name: "credentials that end", Rows: []int{78}},
		{Name: "a server's clock that is an hour ahead, and behind", Rows: []int{32}},
		{Name: "the agents' pods are deleted while they work", Short: true, Many: true, Rows: []int{9, 10, 15}},
		{Name: "the agents' Jobs are removed as soon as they are there", Rows: []int{16}},
		{Name: "agents that say what no agent says", Rows: []int{15, 90, 91}},
		{Name: "a node that is cordoned and tainted NoExecute", Rows: []int{12}},
		{Name: "kube-system enforces the restricted Pod Security Standard", Rows: []int{79}},
		{Name: "an image that is nowhere, and quotas that are full", Rows: []int{11, 65}},
		{Name: "objects that can't be written", Rows: []int{63, 64, 66}},
		{Name: "an older file is put back on one of several nodes", Many: true, Rows: []int{35, 43}},
		{Name: "an older file is put back on the only node", Rows: []int{35, 43}},
		{Name: "a kubelet that stands still", Many: true, Rows: []int{14}},
		{Name: "a node that loses its power", Many: true, Rows: []int{13, 21}},
		{Name: "a read-only folder", Many: true, Rows: []int{20}},
		{Name: "a folder without room", Many: true, Rows: []int{19}},
		{Name: "a configuration that is a symbolic link", Rows: []int{26}},
		{Name: "what others left in the folder", Rows: []int{17}},
		{Name: "etcd of one node, and of most, stands still for 20 s", Many: true, Rows: []int{50, 53}},
		{Name: "a kube-apiserver that is killed at every step", Many: true, Rows: []int{42, 48}},
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
