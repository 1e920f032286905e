// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package staticpod

import (
	"path"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/yamledit"
)

// The flags of kube-apiserver that are read or written.
const (
	configFlag      = "encryption-provider-config"
	reloadFlag      = "encryption-provider-config-automatic-reload"
	securePortFlag  = "secure-port"
	bindAddressFlag = "bind-address"
)

// commandLine is the command of the container: the list, and the flags in it.
type commandLine struct {
	list  *yaml.Node
	flags []flag
}

// flag is one flag: "--name=value", "--name value" or "--name".
type flag struct {
	name, value string
	hasValue    bool
	// at is the position in the list, words how many it takes there.
	at, words int
	node      *yaml.Node
}

// readCommand reads the flags. Flags can also stand in args; with them, or with a command that is not kube-apiserver
// itself, it can't be told what kube-apiserver is given.
func readCommand(container *yaml.Node) (commandLine, error) {
	args, err := yamledit.List(container, "args")
	if err != nil {
		return commandLine{}, err
	}
	if args != nil && len(args.Content) > 0 {
		return commandLine{}, yamledit.Refuse(args, "the container has args, only flags in its command are understood")
	}
	list, err := yamledit.List(container, "command")
	if err != nil {
		return commandLine{}, err
	}
	if list == nil || len(list.Content) == 0 {
		return commandLine{}, yamledit.Refuse(container, "the container has no command")
	}
	for _, word := range list.Content {
		if word.Kind != yaml.ScalarNode || word.ShortTag() != "!!str" {
			return commandLine{}, yamledit.Refuse(word, "a word of the command is not text")
		}
	}
	if path.Base(list.Content[0].Value) != containerName {
		return commandLine{}, yamledit.Refuse(list.Content[0], "the container does not run kube-apiserver directly")
	}
	c := commandLine{list: list}
	return c, c.readFlags()
}

// readFlags reads words as kube-apiserver does, which takes an underscore for a hyphen
// (k8s.io/component-base@v0.37.2 cli/flag/flags.go) and no word that is neither a flag nor its value.
func (c *commandLine) readFlags() error {
	words := c.list.Content
	for i := 1; i < len(words); {
		f, err := readFlag(words[i])
		if err != nil {
			return err
		}
		f.at = i
		if !f.hasValue && i+1 < len(words) && !strings.HasPrefix(words[i+1].Value, "-") {
			f.value, f.hasValue, f.words = words[i+1].Value, true, 2
		}
		if err := c.add(f); err != nil {
			return err
		}
		i += f.words
	}
	return nil
}

// readFlag reads one word. The only short flag is -v, as in "-v=2", "-v2" and "-v 2".
func readFlag(word *yaml.Node) (flag, error) {
	f := flag{words: 1, node: word}
	if verbosity, short := strings.CutPrefix(word.Value, "-v"); short {
		f.name, f.value, f.hasValue = "v", strings.TrimPrefix(verbosity, "="), verbosity != ""
		return f, nil
	}
	text, long := strings.CutPrefix(word.Value, "--")
	if !long || text == "" {
		return flag{}, yamledit.Refuse(word, "a word of the command is neither a flag nor the value of one")
	}
	f.name, f.value, f.hasValue = strings.Cut(text, "=")
	f.name = strings.ReplaceAll(f.name, "_", "-")
	return f, nil
}

func (c *commandLine) add(f flag) error {
	switch f.name {
	case configFlag, reloadFlag, securePortFlag, bindAddressFlag:
		if _, twice := c.find(f.name); twice {
			return yamledit.Refuse(f.node, "the flag --%s is given twice", f.name)
		}
		if strings.Contains(f.value, "$(") {
			return yamledit.Refuse(f.node, "the flag --%s takes its value from the environment", f.name)
		}
	}
	if f.name == configFlag && f.value == "" {
		return yamledit.Refuse(f.node, "the flag --%s has no value", configFlag)
	}
	c.flags = append(c.flags, f)
	return nil
}

func (c *commandLine) find(name string) (flag, bool) {
	for _, f := range c.flags {
		if f.name == name {
			return f, true
		}
	}
	return flag{}, false
}

func (c *commandLine) value(name string) string {
	f, _ := c.find(name)
	return f.value
}

// place is where a flag belongs: where it sorts, or behind all others if they are not sorted.
func (c *commandLine) place(name string) int {
	names := make([]string, 0, len(c.flags))
	for _, f := range c.flags {
		names = append(names, f.name)
	}
	if at := yamledit.SortedPlace(names, name); at < len(c.flags) {
		return c.flags[at].at
	}
	return len(c.list.Content)
}

func (f flag) boolean() (bool, error) {
	if !f.hasValue {
		return true, nil
	}
	on, err := strconv.ParseBool(f.value)
	if err != nil || f.words > 1 {
		return false, yamledit.Refuse(f.node, "the flag --%s is neither =true nor =false", f.name)
	}
	return on, nil
}
