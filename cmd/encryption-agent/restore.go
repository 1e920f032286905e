// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/agent"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// errDeclined: the operator said no, or there was nobody to ask.
var errDeclined = errors.New("not confirmed: nothing was changed (give --yes where there is nobody to ask)")

// restore puts a configuration of this machine's own history in its place. It asks no API server: this one may be down
// for want of that very file.
func restore(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	m := thisMachine()
	flags := newFlags("restore")
	file := flags.String("file", "", "the encryption configuration (default: the one that the kube-apiserver's manifest names)")
	number := flags.Int("revision", 0, "revision of the history to put in its place, also where a kube-apiserver may use what is there (default: the newest valid one)")
	yes := flags.Bool("yes", false, "do it without asking")
	dryRun := flags.Bool("dry-run", false, "say what would be done, and change nothing")
	flags.Func("folder", "a further folder, outside /etc/kubernetes, that the configuration may be in", func(dir string) error {
		if !strings.HasPrefix(dir, "/") {
			return errors.New("it must be an absolute path")
		}
		m.Folders = append(m.Folders, dir)
		return nil
	})
	if helped, err := parse(flags, args, out); helped || err != nil {
		return err
	}
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case *number < 0:
		return errors.New("--revision must be the number of a revision")
	}
	r, err := m.PlanRestore(*file, *number)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(out, describeRestoration(r)); err != nil || r.Already {
		return err
	}
	if *dryRun {
		_, err := fmt.Fprintln(out, "nothing was changed (dry run)")
		return err
	}
	if !*yes && !agreed(ctx, in, out) {
		return errDeclined
	}
	if err := m.Restore(r); err != nil {
		return err
	}
	_, err = io.WriteString(out, restored(r))
	return err
}

// agreed asks for consent. Anything but a yes is a no, the end of the input too.
func agreed(ctx context.Context, in io.Reader, out io.Writer) bool {
	if _, err := io.WriteString(out, "Continue? [y/N] "); err != nil {
		return false
	}
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(in).ReadString('\n') // an error is no answer
		answer <- line
	}()
	select {
	case <-ctx.Done():
		return false
	case line := <-answer:
		if !strings.HasSuffix(line, "\n") {
			fmt.Fprintln(out)
		}
		word := strings.ToLower(strings.TrimSpace(line))
		return word == "y" || word == "yes"
	}
}

func describeRestoration(r agent.Restoration) string {
	var b strings.Builder
	if r.Already {
		fmt.Fprintf(&b, "already there: %s is revision %d, %s\n", r.Path, r.Revision.Number, r.Replaced)
		return b.String()
	}
	switch {
	case r.Unclear:
		fmt.Fprintf(&b, "%s: %s\n", r.Path, r.Problem)
	case r.Problem != "":
		fmt.Fprintf(&b, "%s is not usable: %s\n", r.Path, r.Problem)
	}
	fmt.Fprintf(&b, "revision %d of %s (run %s), %s, would be put there\n", r.Revision.Number,
		r.Revision.Time.Format("2006-01-02 15:04:05 MST"), r.Revision.Run, r.Revision.Config.Digest)
	fmt.Fprintf(&b, "  it writes with %s and reads %s\n", keyNames(r.Revision.Config.WriteKeys()), keyNames(r.Revision.Config.Keys()))
	if r.Replaced != "" {
		fmt.Fprintf(&b, "  what is there, %s, is kept in %s\n", r.Replaced, project.NodeHistoryDir)
	}
	if len(r.Skipped) > 0 {
		fmt.Fprintf(&b, "  newer ones are not understood, or can't be read: %s\n", strings.Trim(fmt.Sprint(r.Skipped), "[]"))
	}
	if r.Unclear {
		b.WriteString("warning: which keys are there now can't be told; a kube-apiserver may take what is not understood here: if one runs with it, leave it\n")
	}
	if len(r.Lacking) > 0 {
		fmt.Fprintf(&b, "warning: it lacks keys that are there now: %s; what is stored with them can't be read until they are back\n", keyNames(r.Lacking))
	}
	return b.String()
}

func restored(r agent.Restoration) string {
	return fmt.Sprintf("restored %s, %s\n"+
		"next: a kube-apiserver that is down reads it when the kubelet starts it again, at the latest after five minutes; then look with: %s status\n",
		r.Path, r.Revision.Config.Digest, project.Command)
}

func keyNames(list []encconfig.Key) string {
	if len(list) == 0 {
		return "no key"
	}
	names := make([]string, len(list))
	for i, k := range list {
		names[i] = k.String()
	}
	return strings.Join(names, ", ")
}
