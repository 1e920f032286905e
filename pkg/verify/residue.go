// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/api/v1alpha1"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/census"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/residue"
)

// Residue is what a search for old values came to.
type Residue struct {
	// Members that were searched, or should have been; for a file one without a node.
	Members []MemberResidue
	// Resources are those that were looked for, as written, wildcards included.
	Resources []string
	// Unknown says why nothing was searched.
	Unknown string
	// Doubts say what was not searched besides, or what else keeps the copies from being proof.
	Doubts []string
	// Compaction is how often kube-apiserver compacts, 0 if it does not or if that is not known.
	Compaction time.Duration
}

// MemberResidue is what was found in the files of one member.
type MemberResidue struct {
	controlplane.Member

	// Unknown says why not all of it was searched.
	Unknown string
	// Note is what a reader must know of what was found.
	Note   string
	Counts []residue.Count
	// Compacted is the revision up to which it was compacted, Read the number of bytes that were searched.
	Compacted, Read int64
}

// limits are what no search finds (rule 2 of package residue, and what lies below the files).
func limits(file bool) []string {
	list := []string{"counted are the beginnings of values; the end of one whose beginning was written over is not found"}
	if file {
		return append(list, "a file like this has no log: what a member's write-ahead log holds is not in it")
	}
	return append(list,
		"etcd writes on while its files are searched: what it copies behind the place that was reached is not seen",
		"what lies below the files no program can find: blocks of files that were deleted (each defragmentation leaves those of the old database), "+
			"blocks that the disk has replaced by others, and what backups and snapshots hold; "+project.Command+" verify --snapshot FILE --config FILE --residue looks into one",
		"copies of etcd's folders are not searched either: kubeadm upgrade leaves one in /etc/kubernetes/tmp/kubeadm-backup-etcd-* on a node")
}

// assessResidue says what a search came to, nil if nobody asked for one.
func assessResidue(r Result) *v1alpha1.VerificationResidue {
	if r.Residue == nil {
		return nil
	}
	file := r.Source.File != ""
	told := &v1alpha1.VerificationResidue{Members: []v1alpha1.MemberResidue{}, Limits: limits(file)}
	for _, m := range r.Residue.Members {
		one := v1alpha1.MemberResidue{
			Node: m.Node, Unknown: m.Unknown, Note: m.Note, Bytes: m.Read, CompactedRevision: m.Compacted, Copies: []v1alpha1.ResidualCopies{},
		}
		for _, c := range m.Counts {
			for _, g := range c.Old() {
				one.Copies = append(one.Copies, v1alpha1.ResidualCopies{
					Place: placeNames()[c.Place], Resource: c.Tally.Resource, State: states()[g.State], Provider: string(g.Provider), Key: g.Key,
					Others: g.Others, Copies: g.Objects, ClearedBy: clearedBy(c.Place, file),
				})
				told.Copies += g.Objects
				if g.State == census.Plaintext {
					told.Plaintext += g.Objects
				}
			}
		}
		told.Members = append(told.Members, one)
	}
	if slices.ContainsFunc(r.Census.Tallies, func(t census.Tally) bool { return t.WriteKey.Provider == encconfig.KMS }) {
		told.Limits = append(told.Limits, "which key a KMS plugin has used is not told apart: what is under an earlier key of the present plugin does not count as old")
	}
	told.Verdict, told.Outcome = residueVerdict(r, told)
	told.Hints = residueHints(r)
	return told
}

// residueVerdict is the sentence. It says first what is stored so now: that is not to be cleared, but migrated.
func residueVerdict(r Result, told *v1alpha1.VerificationResidue) (sentence, outcome string) {
	var unknown []string
	for _, m := range told.Members {
		if m.Unknown != "" {
			unknown = append(unknown, m.Node)
		}
	}
	switch {
	case r.Residue.Unknown != "":
		return "what is left of old values on the disks is not known: " + r.Residue.Unknown, v1alpha1.Unproven
	case told.Copies > 0:
		sentence, outcome = plural(told.Copies, "copy of an old value is", "copies of old values are")+" left "+whereLeft(r, told), v1alpha1.Found
		if told.Plaintext > 0 {
			sentence += fmt.Sprintf(", %s of them in plaintext", census.Number(told.Plaintext))
		}
		if n := notCurrent(r.Census); n > 0 {
			sentence += fmt.Sprintf("; among them %s stored so now, to be migrated before anything is cleared", plural(n, "value that is", "values that are"))
		}
	case len(unknown) == len(told.Members):
		sentence, outcome = "what is left of old values on the disks is not known", v1alpha1.Unproven
	case r.Source.File != "":
		sentence, outcome = "no copy of an old value "+soughtOf(r.Residue.Resources)+"was found in the file", v1alpha1.Clean
	default:
		sentence, outcome = "no copy of an old value "+soughtOf(r.Residue.Resources)+"was found in the files of etcd", v1alpha1.Clean
	}
	doubts := r.Residue.Doubts
	if len(unknown) > 0 && outcome != v1alpha1.Unproven {
		doubts = append([]string{"not everything could be searched on " + strings.Join(unknown, ", ")}, doubts...)
	}
	for _, d := range doubts {
		sentence += "; " + d
		if outcome == v1alpha1.Clean {
			outcome = v1alpha1.Unproven
		}
	}
	return sentence, outcome
}

// soughtOf names the resources that were looked for, unless they are all.
func soughtOf(patterns []string) string {
	if len(patterns) == 0 || slices.Contains(patterns, allResources) {
		return ""
	}
	return "of " + listed(patterns) + " "
}

// whereLeft names the places, and the nodes if there are several.
func whereLeft(r Result, told *v1alpha1.VerificationResidue) string {
	if r.Source.File != "" {
		return "in the file"
	}
	var nodes []string
	database, log := false, false
	for _, m := range told.Members {
		if len(m.Copies) > 0 {
			nodes = append(nodes, m.Node)
		}
		for _, c := range m.Copies {
			log = log || c.Place == v1alpha1.ResidueLog
			database = database || c.Place != v1alpha1.ResidueLog
		}
	}
	place := "etcd's database and log"
	switch {
	case !log:
		place = "etcd's database"
	case !database:
		place = "etcd's log"
	}
	return fmt.Sprintf("in %s on %s", place, strings.Join(nodes, ", "))
}

// notCurrent is how many values are stored now that are not as they should be.
func notCurrent(c census.Census) (n int64) {
	for _, t := range c.Tallies {
		for _, g := range t.Groups {
			if g.State == census.Stale || g.State == census.Plaintext || g.State == census.Missing || g.State == census.Unknown {
				n += g.Objects
			}
		}
	}
	return n
}

func placeNames() map[residue.Place]string {
	return map[residue.Place]string{
		residue.Superseded: v1alpha1.ResidueSuperseded, residue.Freed: v1alpha1.ResidueFreePages,
		residue.Beside: v1alpha1.ResidueOtherFiles, residue.Logged: v1alpha1.ResidueLog,
	}
}

func clearedBy(p residue.Place, file bool) string {
	switch {
	case file:
		return "another snapshot, after compaction and defrag"
	case p == residue.Superseded:
		return "compaction, then defrag"
	case p == residue.Freed:
		return "defrag"
	case p == residue.Beside:
		return "etcd, when it starts"
	}
	return "etcd, with time"
}

// residueHints are the commands that clear what was found, and what there is no command for. Sources:
//
//   - kube-apiserver compacts to the revision of one interval ago (k8s.io/apiserver@v0.37.2 pkg/storage/etcd3/compact.go): what is
//     superseded is compacted within two.
//   - Defragmentation writes a new file of what the tree holds, and puts it in place of the old one
//     (go.etcd.io/etcd/server/v3@v3.7.0 storage/backend/backend.go, defrag). The member does not answer meanwhile.
//   - A segment of the log has 64 MB (storage/wal/wal.go, SegmentSizeBytes). It is removed when a snapshot that etcd takes for itself after
//     --snapshot-count entries lies beyond it (ReleaseLockTo there) and there are more than --max-wals of them
//     (etcdserver/server.go, purgeFile; embed/config.go, DefaultMaxWALs). No call of etcd does that at once.
//   - A file that an interrupted defragmentation has left is removed when etcd starts (etcdserver/api/snap/snapshotter.go,
//     cleanupSnapdir); databases that a leader has sent are, but for --max-snapshots of them (purgeFile).
func residueHints(r Result) []string {
	if r.Source.File != "" {
		return nil
	}
	found := map[residue.Place]bool{}
	var defrag []string
	compact := ""
	for _, m := range r.Residue.Members {
		inDatabase := false
		for _, c := range m.Counts {
			if len(c.Old()) > 0 {
				found[c.Place] = true
				inDatabase = inDatabase || c.Place == residue.Superseded || c.Place == residue.Freed
			}
		}
		if inDatabase && m.Problem == nil {
			defrag = append(defrag, etcdctl(m.Member)+" defrag --command-timeout="+patience)
			compact = etcdctl(m.Member)
		}
	}
	var list []string
	if found[residue.Superseded] {
		by := fmt.Sprintf("superseded revisions: kube-apiserver compacts them within %s of the last migration (twice --etcd-compaction-interval); at once:",
			duration.HumanDuration(2*r.Residue.Compaction))
		if r.Residue.Compaction == 0 {
			by = "superseded revisions: not every kube-apiserver compacts (--etcd-compaction-interval); at once:"
		}
		list = append(list, by, fmt.Sprintf("%s compact %d", compact, r.Source.Revision))
	}
	if len(defrag) > 0 {
		list = append(list, "free pages, after compaction: defragment one member after the other, each when the one before answers again, the leader last; "+
			"a member does not answer meanwhile, and goes on with it also if etcdctl has given up. Which one leads, and then each:", compact+" endpoint status --cluster -w table")
		list = append(list, defrag...)
	}
	if found[residue.Beside] {
		list = append(list, "files beside the database: what an interrupted defragmentation has left is removed when etcd starts; "+
			"databases that a leader has sent are removed when --max-snapshots newer ones are there")
	}
	if found[residue.Logged] {
		list = append(list, "log: no command clears it. etcd removes a segment of 64 MB by itself when --max-wals newer ones are full (5 unless set), "+
			"which takes a quiet cluster weeks; only a member that is removed and joined anew begins with a new log")
	}
	return list
}

// patience is how long etcdctl waits for a member to be defragmented. By itself it gives up after 5 s, which is no failure of the
// member's: that works on and does not answer, and who goes on with the next one would have two that don't
// (github.com/etcd-io/etcd pull request 13530).
const patience = "10m"

// etcdctl is the program in a member's container, with what it needs to ask this member.
func etcdctl(m controlplane.Member) string {
	words := []string{"kubectl -n kube-system exec", m.Pod, "-- etcdctl", "--endpoints=" + m.URL}
	for _, flag := range []struct{ name, file string }{{"cacert", m.CA}, {"cert", m.Cert}, {"key", m.Key}} {
		if flag.file != "" {
			words = append(words, "--"+flag.name+"="+flag.file)
		}
	}
	return strings.Join(words, " ")
}

// residuePatterns are the resources to look for: what was asked for, or what the configuration has keys for.
func residuePatterns(asked []string, config encconfig.Description) []string {
	if len(asked) > 0 {
		return slices.Clone(asked)
	}
	return keyed(config)
}
