// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package status_test

import (
	"errors"
	"maps"
	"strings"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/observe"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/reload"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/status"
)

// day is a day of December 1999: shortly before the time at which the clock of testing/synctest begins.
func day(n int) time.Time { return time.Date(1999, 12, n, 12, 0, 0, 0, time.UTC) }

func dayRef(n int) *time.Time { d := day(n); return &d }

// digest is a digest that can be told from others at a glance.
func digest(letter string) string { return "sha256:" + strings.Repeat(letter, 64) }

func key(name string) encconfig.Key {
	return encconfig.Key{Provider: encconfig.AESGCM, Name: name, Fingerprint: strings.Repeat(name, 16)}
}

func config(letter string, keys ...encconfig.Key) *encconfig.Description {
	return &encconfig.Description{Digest: digest(letter), Rules: []encconfig.Rule{{
		Resources: []string{"secrets", "configmaps"}, Keys: append(keys, encconfig.Key{Provider: encconfig.Identity}),
	}}}
}

// instance is a kube-apiserver in order.
func instance(node string) controlplane.Instance {
	return controlplane.Instance{
		Node: node, Pod: "kube-apiserver-" + node, Address: "192.0.2." + node[1:], Ready: true, IDHash: "sha256:id-" + node,
		Manifest: controlplane.Manifest{
			ConfigPath: "/etc/kubernetes/encryption/config.yaml", AutomaticReload: true, SecurePort: 6443,
			HostDir: "/etc/kubernetes/encryption", File: "config.yaml", CompactionInterval: 5 * time.Minute,
		},
	}
}

// evidence is of a kube-apiserver of 1.37 that has reloaded on the 10th.
func evidence(node, hash string) reload.Evidence {
	return reload.Evidence{
		IDHash: "sha256:id-" + node, Version: "v1.37.1", Hash: hash, TellsHash: true, Started: day(1), LastSuccess: day(10),
		Writes: map[string]map[reload.KeyPrefix]float64{"secrets": {"k8s:enc:aesgcm:v1:": 3, "1:": 3}},
	}
}

// seen is a converged cluster of three nodes with nothing on record.
func seen() *status.Seen {
	s := &status.Seen{
		View: &observe.View{
			ControlPlane: &controlplane.ControlPlane{}, Evidence: map[string]reload.Evidence{}, Errors: map[string]error{},
			Ledger: &ledger.Ledger{Version: ledger.Version},
		},
		Resources: []string{"configmaps", "secrets"},
		Counts:    map[string]status.Count{"configmaps": {Objects: 20}, "secrets": {Objects: 300}},
	}
	for _, node := range []string{"n1", "n2", "n3"} {
		s.View.ControlPlane.Instances = append(s.View.ControlPlane.Instances, instance(node))
		s.View.Evidence[node] = evidence(node, digest("b"))
	}
	return s
}

// record puts a rotation on record, whose configuration is the loaded one unless it is told otherwise.
func record(s *status.Seen, change func(*ledger.Rotation)) {
	done := ledger.Migration{Baseline: "1000", Complete: true, Objects: 300, Migrated: 300, CompletionTime: dayRef(10)}
	r := ledger.Rotation{
		ID: "run1", By: "ann@laptop", From: []encconfig.Key{key("1")}, To: key("2"), Stage: "done",
		StartTime: day(9), StartDigest: digest("a"), Config: config("b", key("2"), key("1")),
		Migrations: map[string]ledger.Migration{"secrets": done, "configmaps": done}, CompletionTime: dayRef(10),
	}
	if change != nil {
		change(&r)
	}
	s.View.OnRecord = true
	s.View.Ledger.Begin(r)
	s.Config = nil
	if r.Config != nil && s.View.LoadedDigest() == r.Config.Digest {
		s.Config = r.Config
	}
}

// verified puts a verification of the loaded configuration on record, on the 12th, unless it is told otherwise.
func verified(s *status.Seen, change func(*ledger.Verification)) {
	v := ledger.Verification{
		Time: day(12), By: "ann@laptop", Outcome: ledger.Clean, Digest: digest("b"), Revision: 4711, Objects: 320,
		Whole: []string{"configmaps", "secrets"}, Resources: []ledger.StoredResource{{Name: "secrets"}, {Name: "configmaps"}},
	}
	if change != nil {
		change(&v)
	}
	s.View.Ledger.Note(v)
}

// each changes what every kube-apiserver tells.
func each(s *status.Seen, change func(*reload.Evidence)) {
	for node, e := range s.View.Evidence {
		change(&e)
		s.View.Evidence[node] = e
	}
}

// scenarios by the sentence that describes them.
func scenarios() map[string]func(*status.Seen) {
	list := rotating()
	maps.Copy(list, onOff())
	maps.Copy(list, drifts())
	return list
}

// rotating are scenarios of clusters that are on, or were never touched.
func rotating() map[string]func(*status.Seen) {
	return map[string]func(*status.Seen){
		"a cluster that nobody has touched": func(*status.Seen) {},
		"a cluster that has not reloaded since its start": func(s *status.Seen) {
			each(s, func(e *reload.Evidence) { e.LastSuccess = time.Time{} })
		},
		"no encryption": func(s *status.Seen) {
			each(s, func(e *reload.Evidence) { e.Hash, e.IDHash, e.LastSuccess, e.Writes = "", "", time.Time{}, nil })
			for i := range s.View.ControlPlane.Instances {
				s.View.ControlPlane.Instances[i].Manifest = controlplane.Manifest{SecurePort: 6443}
			}
		},
		"one kube-apiserver without encryption": func(s *status.Seen) {
			s.View.ControlPlane.Instances[1].Manifest = controlplane.Manifest{SecurePort: 6443}
			s.View.Evidence["n2"] = reload.Evidence{Version: "v1.37.1", TellsHash: true, Started: day(1)}
		},
		"one kube-apiserver without encryption that is not ready": func(s *status.Seen) {
			s.View.ControlPlane.Instances[1].Manifest, s.View.ControlPlane.Instances[1].Ready = controlplane.Manifest{SecurePort: 6443}, false
			s.View.Evidence["n2"] = reload.Evidence{Version: "v1.37.1", TellsHash: true, Started: day(1)}
		},
		"all is well": func(s *status.Seen) { record(s, nil) },
		"all is well and verified": func(s *status.Seen) {
			record(s, nil)
			verified(s, nil)
		},
		"verified before the configuration changed": func(s *status.Seen) {
			record(s, nil)
			verified(s, func(v *ledger.Verification) { v.Time, v.Digest = day(9), digest("a") })
		},
		"verified before the last migration, with values that were stale": func(s *status.Seen) {
			record(s, nil)
			verified(s, func(v *ledger.Verification) {
				v.Time, v.Outcome, v.Off, v.Objects = day(9), ledger.Found, 2, 1234
				v.Resources = append(v.Resources, ledger.StoredResource{Name: "widgets.example.com"}, ledger.StoredResource{Name: "deployments.apps"})
			})
		},
		"verified, with values that no migration reaches": func(s *status.Seen) {
			record(s, nil)
			verified(s, func(v *ledger.Verification) {
				v.Outcome, v.Off, v.Objects = ledger.Found, 2, 321
				v.Resources = append(v.Resources, ledger.StoredResource{Name: "gone.example.com", Objects: 1, Stale: 1}, ledger.StoredResource{Name: "events", Stale: 1})
			})
		},
		"verified everything, without proof": func(s *status.Seen) {
			record(s, nil)
			verified(s, func(v *ledger.Verification) { v.Outcome, v.Whole, v.Decrypted = ledger.Unproven, []string{"*.*"}, true })
		},
		"one node, all is well": func(s *status.Seen) {
			s.View.ControlPlane.Instances = s.View.ControlPlane.Instances[:1]
			record(s, nil)
		},
		"the files were edited by hand after the rotation": func(s *status.Seen) {
			each(s, func(e *reload.Evidence) { e.Hash = digest("c") })
			record(s, nil)
		},
		"one kube-apiserver has another configuration": func(s *status.Seen) {
			s.View.Evidence["n2"] = evidence("n2", digest("c"))
			record(s, nil)
		},
		"a reload failed": func(s *status.Seen) {
			each(s, func(e *reload.Evidence) { e.LastFailure = day(12) })
			record(s, nil)
		},
		"a rotation is under way": func(s *status.Seen) {
			record(s, nil)
			record(s, func(r *ledger.Rotation) {
				r.ID, r.Stage, r.To, r.From, r.CompletionTime, r.Migrations = "run2", "await", key("3"), []encconfig.Key{key("2")}, nil, nil
				r.StartTime, r.StartDigest = day(20), digest("b")
			})
		},
		"a rotation whose file one kube-apiserver has loaded already": func(s *status.Seen) {
			s.View.Evidence["n2"] = evidence("n2", digest("c"))
			record(s, nil)
			record(s, func(r *ledger.Rotation) {
				r.ID, r.Stage, r.To, r.From, r.CompletionTime, r.Migrations = "run2", "await", key("3"), []encconfig.Key{key("2")}, nil, nil
				r.StartTime, r.StartDigest, r.Sent = day(20), digest("b"), digest("c")
			})
		},
		"a migration is under way": func(s *status.Seen) {
			record(s, func(r *ledger.Rotation) {
				r.Stage, r.CompletionTime = "migrate", nil
				r.Migrations["secrets"] = ledger.Migration{Baseline: "1000"}
			})
			s.Counts["secrets"] = status.Count{Objects: 300, NotNewer: 120}
		},
		"objects are stale": func(s *status.Seen) {
			record(s, nil)
			s.Counts["secrets"] = status.Count{Objects: 300, NotNewer: 4}
		},
		"objects that are not newer were found current": func(s *status.Seen) {
			record(s, func(r *ledger.Rotation) {
				m := r.Migrations["secrets"]
				m.Unchanged = 4
				r.Migrations["secrets"] = m
			})
			s.Counts["secrets"] = status.Count{Objects: 300, NotNewer: 4}
		},
		"a rotation was taken back": func(s *status.Seen) {
			record(s, nil)
			record(s, func(r *ledger.Rotation) {
				r.ID, r.To, r.Aborted, r.Migrations, r.CompletionTime = "run2", key("3"), true, nil, dayRef(21)
				r.StartTime, r.StartDigest = day(20), digest("b")
			})
		},
		"objects could not be migrated": func(s *status.Seen) {
			record(s, func(r *ledger.Rotation) {
				r.Stage, r.CompletionTime = "migrate", nil
				r.Migrations["secrets"] = ledger.Migration{
					Baseline: "1000", Objects: 300, Migrated: 297, Failed: 3, Skipped: []string{"ns/one: Denied"}, CompletionTime: dayRef(10),
				}
			})
			s.Counts["secrets"] = status.Count{Objects: 300, NotNewer: 3}
		},
		"a resource that may not be listed": func(s *status.Seen) {
			record(s, nil)
			s.Counts["secrets"] = status.Count{Err: errors.New("count secrets: forbidden")}
		},
		"1.33 with nothing on record": func(s *status.Seen) {
			each(s, func(e *reload.Evidence) { e.Version, e.TellsHash, e.Hash = "v1.33.13", false, "" })
		},
		"1.33 with a record": func(s *status.Seen) {
			each(s, func(e *reload.Evidence) { e.Version, e.TellsHash, e.Hash = "v1.33.13", false, "" })
			record(s, nil)
			s.Config = s.View.Ledger.Last().Config
		},
		"the control plane disagrees": func(s *status.Seen) {
			record(s, nil)
			s.View.ControlPlane.Disagreements = []string{"a kube-apiserver serves at 192.0.2.9, which is the address of no control-plane node's kube-apiserver"}
		},
		"a kube-apiserver can't be asked": func(s *status.Seen) {
			delete(s.View.Evidence, "n3")
			s.View.Errors["n3"] = errors.New("it answers 403 Forbidden")
			record(s, nil)
		},
		"a node without a kube-apiserver pod": func(s *status.Seen) {
			delete(s.View.Evidence, "n3")
			s.View.ControlPlane.Instances[2] = controlplane.Instance{Node: "n3"}
			record(s, nil)
		},
		"a manifest that is not understood": func(s *status.Seen) {
			record(s, nil)
			s.View.ControlPlane.Instances[0].Manifest = controlplane.Manifest{}
			s.View.ControlPlane.Instances[0].ManifestError = errors.New("pod kube-apiserver-n1: the flag --encryption-provider-config is given twice")
		},
		"no automatic reload": func(s *status.Seen) {
			record(s, nil)
			s.View.ControlPlane.Instances[0].Manifest.AutomaticReload = false
		},
		"no control plane": func(s *status.Seen) {
			s.View.ControlPlane.Instances, s.View.Evidence = nil, nil
		},
		"what is written is plaintext": func(s *status.Seen) {
			each(s, func(e *reload.Evidence) {
				e.LastSuccess = time.Time{}
				e.Writes = map[string]map[reload.KeyPrefix]float64{"secrets": {"": 3}, "configmaps": {"": 1}}
			})
		},
	}
}
