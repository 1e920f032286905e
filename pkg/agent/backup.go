// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

const (
	// backupDir is the folder in the history that keeps manifests. The kubelet does not read it.
	backupDir = "manifests"
	// maxBackups is how many it keeps.
	maxBackups = 8

	backupEnd   = "-" + project.APIServerManifest
	revisionEnd = ".yaml"
)

func backupName(r revision) string {
	return strings.TrimSuffix(r.fileName(), revisionEnd) + backupEnd
}

func parseBackup(name string) (revision, bool) {
	base, ok := strings.CutSuffix(name, backupEnd)
	if !ok {
		return revision{}, false
	}
	return parseRevision(base + revisionEnd)
}

// keepManifest keeps a manifest, durably, lets old ones go, and says under which name it is kept.
func (h history) keepManifest(manifest []byte, run string, now time.Time) (string, error) {
	f, err := h.sub(backupDir)
	if err != nil {
		return "", err
	}
	defer f.close()
	names, err := f.names()
	if err != nil {
		return "", err
	}
	kept := slices.DeleteFunc(names, func(name string) bool { _, ok := parseBackup(name); return !ok })
	slices.SortFunc(kept, func(a, b string) int { return cmp.Compare(number(a), number(b)) })
	next := revision{number: 1, time: now, run: run}
	if len(kept) > 0 {
		next.number = number(kept[len(kept)-1]) + 1
	}
	if err := f.removeLeft(isTemp); err != nil {
		return "", err
	}
	if err := f.replace(backupName(next), manifest); err != nil {
		return "", err
	}
	for _, name := range kept[:max(0, len(kept)+1-maxBackups)] {
		if err := f.remove(name); err != nil {
			return "", err
		}
	}
	return backupName(next), nil
}

func number(backup string) int {
	r, _ := parseBackup(backup)
	return r.number
}

func isTemp(name string) bool {
	return strings.HasPrefix(name, ".") && strings.HasSuffix(name, tempSuffix)
}

// backup is a manifest that was kept, if it has the digest.
func (h history) backup(name, digest string) ([]byte, error) {
	f, err := h.sub(backupDir)
	if err != nil {
		return nil, err
	}
	defer f.close()
	file, err := f.read(name, maxManifest)
	if err != nil {
		return nil, err
	}
	if encconfig.Digest(file.data) != digest {
		return nil, plainf("%s is not the manifest that was kept", name)
	}
	return file.data, nil
}

// The temporary files of a guard beside the manifest: the edited one, and the old one that is ready to be put back.
func editTemp(manifest, run string) string { return tempPrefix(manifest) + run + tempEnd }
func backTemp(manifest, run string) string { return tempPrefix(manifest) + run + ".back" + tempEnd }

// sweepManifests removes what guards have left beside the manifest. The caller knows that none is at work.
func sweepManifests(manifests *folder, manifest string) error {
	return manifests.removeLeft(func(name string) bool {
		return name == guardTempName || strings.HasPrefix(name, tempPrefix(manifest)) && strings.HasSuffix(name, tempEnd)
	})
}
