// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import "sync"

// broken remembers the webhooks that failed, rather than denied, through all repetitions of a write. They may take
// ten seconds or more each time, so a later failure of the same webhook is not repeated: what was patience with one
// object would be hours with all. A webhook that answers again is in nobody's way. It is safe for concurrent use.
type broken struct {
	mu       sync.Mutex
	webhooks map[string]bool
}

// conversion stands for the webhook that converts a custom resource, of which there is one at most, and whose name
// an answer does not tell.
const conversion = "\x00conversion"

// failing is the webhook whose failure an error is about, empty if there is none.
func failing(err error) string {
	status, ok := statusOf(err)
	if !ok {
		return ""
	}
	switch by := denier(status); {
	case by.webhook != "" && !by.denied:
		return by.webhook
	case by == admission{} && conversionFailed(status):
		return conversion
	default:
		return ""
	}
}

// add takes note of how the attempts at one object have ended.
func (b *broken) add(err error) {
	name := failing(err)
	if name == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.webhooks == nil {
		b.webhooks = map[string]bool{}
	}
	b.webhooks[name] = true
}

// has tells that an error is of a webhook that has failed before.
func (b *broken) has(err error) bool {
	name := failing(err)
	if name == "" {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.webhooks[name]
}
