// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// kubernetesDir is the folder below which everything of a control-plane node is.
const kubernetesDir = "/etc/kubernetes"

// kubeadmsFile are the names of files that kubeadm keeps below /etc/kubernetes.
var kubeadmsFile = regexp.MustCompile(`\.(?:conf|crt|key|pub)$`)

// checkPath refuses a file that no encryption configuration should be: it would take another file's place, or the
// kubelet would read it as a static pod.
func (m Machine) checkPath(file string) error {
	dir, name := path.Split(file)
	dir = path.Clean(dir)
	switch {
	case !configName.MatchString(name):
		return fmt.Errorf("the bundle is for the file %s, which is not the name of a configuration file", file)
	case within(dir, project.NodeManifestDir), within(dir, project.NodeHistoryDir):
		return fmt.Errorf("the bundle is for the file %s: no configuration belongs into %s", file, dir)
	case slices.ContainsFunc(m.Folders, func(allowed string) bool { return dir == path.Clean(allowed) }):
		return nil
	case !within(dir, kubernetesDir):
		return fmt.Errorf("the bundle is for the file %s, which is not below %s; if it belongs there, say so with --folder %s", file, kubernetesDir, dir)
	case kubeadmsFile.MatchString(name):
		return fmt.Errorf("the bundle is for the file %s, which by its name is one of kubeadm's own", file)
	}
	return nil
}

func within(dir, parent string) bool { return dir == parent || strings.HasPrefix(dir, parent+"/") }

// makeFolder makes a folder and those above it, as far as they are missing, durably. The last one is closed to
// everybody but root; so are all below /etc/kubernetes.
func (m Machine) makeFolder(dir string) error {
	root, err := os.OpenRoot(m.Root)
	if err != nil {
		return told(callFailed(err, "open the file system"))
	}
	defer func() { _ = root.Close() }()
	made := ""
	for name := range strings.SplitSeq(strings.Trim(dir, "/"), "/") {
		parent := made
		made = filepath.Join(made, name)
		if err := makeOne(root, parent, made, modeOf("/"+made, dir)); err != nil {
			return told(err)
		}
	}
	return nil
}

const publicMode fs.FileMode = 0o755

func modeOf(made, dir string) fs.FileMode {
	if made == dir || strings.HasPrefix(made, kubernetesDir+"/") {
		return folderMode
	}
	return publicMode
}

// makeOne makes one folder and makes its name durable. One that is there stays as it is.
func makeOne(root *os.Root, parent, name string, mode fs.FileMode) error {
	err := root.Mkdir(name, mode)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return callFailed(err, "make the folder /%s", name)
	}
	if err := root.Chmod(name, mode); err != nil { // whatever the umask left
		return callFailed(err, "chmod the folder /%s", name)
	}
	dir, err := root.Open(filepath.Join(".", parent))
	if err != nil {
		return callFailed(err, "open the folder /%s", parent)
	}
	defer func() { _ = dir.Close() }()
	if err := dir.Sync(); err != nil {
		return callFailed(err, "sync the folder /%s", parent)
	}
	return nil
}

// checkFolder refuses a folder in which somebody else than root can replace files. One that is missing is no matter.
func (m Machine) checkFolder(dir string) error {
	info, err := os.Stat(m.at(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return told(callFailed(err, "look at the folder %s", dir))
	}
	const writable = 0o022
	switch {
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder", dir)
	case !(&folder{owner: m.Owner}).owns(info):
		return fmt.Errorf("the folder %s is not owned by root", dir)
	case info.Mode().Perm()&writable != 0:
		return fmt.Errorf("others than root can write in the folder %s: close it with chmod 0700 %s", dir, dir)
	}
	return nil
}
