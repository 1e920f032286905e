// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// verdict is what one request has shown of an object.
type verdict struct {
	kind verdictKind
	text string
}

type verdictKind int

const (
	// fine: the object is as it may be.
	fine verdictKind = iota
	// written: a write was acknowledged.
	written
	// away: nobody served.
	away
	unreadable
	lost
	vanished
	resurrected
)

// judge says what a read has shown that began when the write of the number from was the last that was acknowledged.
func (o *object) judge(from int, seen *unstructured.Unstructured, err error) verdict {
	o.mu.Lock()
	defer o.mu.Unlock()
	may := o.history[from:]
	mayBeGone := slices.ContainsFunc(may, func(v version) bool { return v.gone })
	switch {
	case err == nil:
		return o.judgeShown(from, seen)
	case apierrors.IsNotFound(err) && mayBeGone:
		return verdict{kind: fine}
	case apierrors.IsNotFound(err):
		return verdict{vanished, fmt.Sprintf("gone, though nobody deleted it since write %d", from)}
	case isAway(err):
		return verdict{kind: away}
	}
	return verdict{unreadable, err.Error()}
}

// judgeShown is judge for an object that was shown, under its lock.
func (o *object) judgeShown(from int, seen *unstructured.Unstructured) verdict {
	number := o.number(seen)
	switch {
	case number < 0:
		return verdict{unreadable, "shown with a content that nobody wrote"}
	case number < from && o.history[from].gone:
		return verdict{resurrected, fmt.Sprintf("shown as write %d made it, though write %d deleted it", number, from)}
	case number < from:
		return verdict{lost, fmt.Sprintf("shown as write %d made it, though write %d was acknowledged", number, from)}
	case number >= len(o.history) || o.history[number].gone:
		return verdict{lost, fmt.Sprintf("shown as if write %d had made it, which did not", number)}
	case o.history[number].uid != "" && seen.GetUID() != o.history[number].uid:
		return verdict{lost, "another object of that name was shown"}
	case o.whole != nil && !sameButRevision(o.whole, seen):
		return verdict{lost, "something of it was changed, and nobody writes to it"}
	}
	return verdict{kind: fine}
}

// sameButRevision is rule 4.
func sameButRevision(a, b *unstructured.Unstructured) bool {
	a, b = a.DeepCopy(), b.DeepCopy()
	a.SetResourceVersion("")
	b.SetResourceVersion("")
	return equality.Semantic.DeepEqual(a.Object, b.Object)
}
