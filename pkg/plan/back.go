// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import "github.com/kubectl-encryption/kubectl-encryption/pkg/encconfig"

// back is rule 7, and rule 3 on the way back. It need not wait for proofs before it takes the key out: nothing was
// written with it.
func back(o Observed, g Goal) (Step, error) {
	with, without := o.split(g.Target)
	if len(with) == 0 {
		if o.hasWritten(g.Target) && !o.Progress.Closed {
			return Step{}, refuse("go on with: kubectl encryption rotate --resume, which brings it back from a node's history",
				"key %s has been the write key, and is in no file any more: something may be stored with it", g.Target)
		}
		return backDone(o, g)
	}
	if o.everWritten(g.Target) {
		return Step{}, refuse("go on with: kubectl encryption rotate --resume",
			"key %s has been the write key, or may have been: something may be stored with it, so it can't be taken back", g.Target)
	}
	if !o.isOurs(g.Target) {
		return Step{}, refuse("go on with: kubectl encryption rotate --resume",
			"key %s was not added by this tool on every node: nothing proves that it was never used", g.Target)
	}
	if !same(with) || !same(without) {
		return Step{}, differ(o, "and not only by the key "+g.Target.String())
	}
	if len(without) == 0 {
		change := encconfig.Change{Kind: encconfig.Remove, Keys: []encconfig.Key{g.Target}}
		return push(*with[0].Config, change, with[0].Name, names(with))
	}
	if !installed(without, with) && !installed(with, without) || !g.adds(*without[0].Config, *with[0].Config) {
		return Step{}, differ(o, "and not only by the key "+g.Target.String())
	}
	return handOn(without[0], with)
}

// backDone is the end of the way back: no node has the key any more.
func backDone(o Observed, g Goal) (Step, error) {
	switch {
	case o.Agreed() == nil:
		return Step{}, differ(o, "and none has the key "+g.Target.String())
	case !o.loaded():
		return Step{Kind: Await}, nil
	case !o.Progress.Closed:
		return Step{Kind: Close}, nil
	}
	return Step{Kind: Done}, nil
}
