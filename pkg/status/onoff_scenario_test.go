// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package status_test

import (
	"errors"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/controlplane"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kubeadmconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/ledger"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/reload"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/status"
)

func plaintext() encconfig.Key { return encconfig.Key{Provider: encconfig.Identity} }

// decrypting has a rule that writes plaintext and reads a key, for the named resources; the others keep their key.
func decrypting(letter string, resources ...string) *encconfig.Description {
	d := &encconfig.Description{Digest: digest(letter), Rules: []encconfig.Rule{
		{Resources: resources, Keys: []encconfig.Key{plaintext(), key("2")}},
	}}
	if len(resources) == 1 {
		d.Rules = append(d.Rules, encconfig.Rule{Resources: []string{"secrets"}, Keys: []encconfig.Key{key("2"), plaintext()}})
	}
	return d
}

// withoutFlags has kube-apiservers run without a configuration.
func withoutFlags(s *status.Seen, nodes ...string) {
	for i := range s.View.ControlPlane.Instances {
		in := &s.View.ControlPlane.Instances[i]
		for _, node := range nodes {
			if in.Node == node {
				in.Manifest = controlplane.Manifest{SecurePort: 6443, CompactionInterval: 5 * time.Minute}
				s.View.Evidence[node] = reload.Evidence{Version: "v1.37.1", TellsHash: true, Started: day(1)}
			}
		}
	}
}

// enabling is the record of an enable that waits for the first nodes.
func enabling(r *ledger.Rotation) {
	r.ID, r.Command, r.Resources, r.From, r.To = "run1", "enable", []string{"secrets", "configmaps"}, nil, key("1")
	r.Stage, r.StartDigest, r.Sent, r.CompletionTime, r.Migrations = "edit-manifest", "", digest("b"), nil, nil
	r.Config = config("b", plaintext(), key("1"))
}

// disabled puts on record that resources were decrypted, after a rotation.
func disabled(s *status.Seen, change func(*ledger.Rotation), resources ...string) {
	record(s, func(r *ledger.Rotation) { r.Config = config("a", key("2"), key("1")) })
	record(s, func(r *ledger.Rotation) {
		r.ID, r.Command, r.Resources, r.From, r.To = "run2", "disable", resources, []encconfig.Key{key("2")}, plaintext()
		r.StartTime, r.StartDigest, r.Config, r.CompletionTime = day(20), digest("a"), decrypting("b", resources...), dayRef(21)
		done := r.Migrations["secrets"]
		r.Migrations = map[string]ledger.Migration{}
		for _, name := range resources {
			r.Migrations[name] = done
		}
		if change != nil {
			change(r)
		}
	})
}

// kubeadm is in step with the manifests.
func kubeadm() status.Kubeadm {
	return status.Kubeadm{Found: true, Encryption: kubeadmconfig.Encryption{
		ConfigPath: "/etc/kubernetes/encryption/config.yaml", AutomaticReload: true,
		HostPath: "/etc/kubernetes/encryption/config.yaml", MountPath: "/etc/kubernetes/encryption",
	}}
}

func all() []string { return []string{"secrets", "configmaps"} }

// onOff are scenarios of clusters that are off, half on, or decrypted.
func onOff() map[string]func(*status.Seen) {
	return map[string]func(*status.Seen){
		"an enable is under way": func(s *status.Seen) {
			record(s, enabling)
			withoutFlags(s, "n2", "n3")
			s.Config = s.View.Ledger.Last().Config
		},
		"an enable is under way and a kube-apiserver restarts": func(s *status.Seen) {
			record(s, enabling)
			withoutFlags(s, "n2", "n3")
			s.Kubeadm = status.Kubeadm{Found: true}
			s.View.ControlPlane.Instances[1].Ready = false
			s.View.ControlPlane.Disagreements = []string{"the kube-apiserver on node n2 is not ready"}
		},
		"an enable sets the missing flag": func(s *status.Seen) {
			record(s, enabling)
			s.View.ControlPlane.Instances[2].Manifest.AutomaticReload = false
		},
		"a disable is under way": func(s *status.Seen) {
			disabled(s, func(r *ledger.Rotation) {
				r.Stage, r.CompletionTime, r.RemoveFlags = "migrate", nil, true
				r.Migrations["secrets"] = ledger.Migration{Baseline: "2000"}
			}, all()...)
			s.Counts["secrets"] = status.Count{Objects: 300, NotNewer: 120}
		},
		"a disable takes the flags out": func(s *status.Seen) {
			disabled(s, func(r *ledger.Rotation) { r.Stage, r.CompletionTime, r.RemoveFlags = "edit-manifest", nil, true }, all()...)
			withoutFlags(s, "n1")
			s.Kubeadm = status.Kubeadm{Found: true}
		},
		"everything is decrypted":   func(s *status.Seen) { disabled(s, nil, all()...) },
		"one resource is decrypted": func(s *status.Seen) { disabled(s, nil, "configmaps") },
		"objects are still encrypted": func(s *status.Seen) {
			disabled(s, nil, all()...)
			s.Counts["configmaps"] = status.Count{Objects: 20, NotNewer: 3}
		},
		"whether objects are still encrypted is not on record": func(s *status.Seen) {
			disabled(s, func(r *ledger.Rotation) { r.Migrations = nil }, all()...)
		},
		"the flags were taken out": func(s *status.Seen) {
			disabled(s, func(r *ledger.Rotation) { r.RemoveFlags = true }, all()...)
			withoutFlags(s, "n1", "n2", "n3")
			s.Config, s.Kubeadm = nil, status.Kubeadm{Found: true}
		},
		"the flags were lost": func(s *status.Seen) {
			record(s, nil)
			withoutFlags(s, "n1", "n2", "n3")
			s.Config = nil
		},
		"run by k3s": func(s *status.Seen) {
			s.View.ControlPlane.Foreign = controlplane.Foreign{Name: "k3s", Command: "k3s secrets-encrypt rotate-keys"}
			s.View.ControlPlane.Disagreements = []string{"node n1 is a control-plane node without a kube-apiserver pod"}
		},
	}
}

// drifts are scenarios of what kubeadm will make the next manifests of.
func drifts() map[string]func(*status.Seen) {
	with := func(change func(*kubeadmconfig.Encryption)) func(*status.Seen) {
		return func(s *status.Seen) {
			record(s, nil)
			s.Kubeadm = kubeadm()
			change(&s.Kubeadm.Encryption)
		}
	}
	return map[string]func(*status.Seen){
		"kubeadm keeps the flags":    with(func(*kubeadmconfig.Encryption) {}),
		"kubeadm lacks the flags":    with(func(e *kubeadmconfig.Encryption) { *e = kubeadmconfig.Encryption{} }),
		"kubeadm lacks the reload":   with(func(e *kubeadmconfig.Encryption) { e.AutomaticReload = false }),
		"kubeadm lacks the volume":   with(func(e *kubeadmconfig.Encryption) { e.HostPath, e.MountPath = "", "" }),
		"kubeadm has another path":   with(func(e *kubeadmconfig.Encryption) { e.ConfigPath = "/etc/kubernetes/enc/config.yaml" }),
		"kubeadm has another folder": with(func(e *kubeadmconfig.Encryption) { e.HostPath = "/srv/encryption/config.yaml" }),
		"kubeadm is not understood": func(s *status.Seen) {
			record(s, nil)
			s.Kubeadm = status.Kubeadm{Found: true, Err: errors.New("line 3: the flag is given twice")}
		},
		"kubeadm sets what nobody has": func(s *status.Seen) {
			withoutFlags(s, "n1", "n2", "n3")
			s.Kubeadm = kubeadm()
		},
		"a node that has joined lacks its kube-apiserver": func(s *status.Seen) {
			record(s, nil)
			s.Kubeadm = kubeadm()
			delete(s.View.Evidence, "n3")
			s.View.ControlPlane.Instances[2] = controlplane.Instance{Node: "n3"}
			s.View.ControlPlane.Disagreements = []string{"node n3 is a control-plane node without a kube-apiserver pod"}
		},
	}
}
