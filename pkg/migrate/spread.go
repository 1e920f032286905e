// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// restTime is the least time that an ailing instance is left out for.
	restTime = 5 * time.Second
	// restShare is how many times as long as the request took that told of its ailing: what waits in vain for an
	// instance that is powered off costs at most one worker a tenth of its time.
	restShare = 10
	// longestRest bounds that: an instance that hung may be back in a moment.
	longestRest = 5 * time.Minute
)

// errNoClient: a spread over nothing.
var errNoClient = errors.New("there is no kube-apiserver to ask")

// spread is a Client that asks several.
type spread struct {
	mu        sync.Mutex
	instances []instance
	next      int
}

// instance is one of a spread, and what is known of it.
type instance struct {
	client   Client
	inFlight int
	// rested is when it was left out last, until when it may be asked again. Zero: it is not left out.
	rested, until time.Time
	// probed: one request finds out whether it is back.
	probed bool
}

var _ Client = (*spread)(nil)

// Spread returns a Client that asks the given ones, for instance one for each kube-apiserver: a connection through a
// load balancer stays with one of them. It keeps every rule of the package, because none rests on one instance (rule
// 9): all must serve the same etcd, and be proven to write with the write key.
//
//   - A request goes to the one with the fewest in flight, in turn among equals. So a slow one gets fewer.
//   - A request fails as it would without Spread. If the instance is ailing by that (see ailing), it is left out for 5
//     seconds, or for ten times as long as the request took, but 5 minutes at most. So a repetition goes to another.
//   - After that one request tries it, and the others leave it out until that is answered.
//   - If all are left out, all are asked: what ails all of them is soon known, and so is that one is back.
func Spread(clients ...Client) Client {
	if len(clients) == 1 {
		return clients[0]
	}
	s := &spread{}
	for _, c := range clients {
		s.instances = append(s.instances, instance{client: c})
	}
	return s
}

// List implements Client.
func (s *spread) List(
	ctx context.Context, r Resource, namespace string, opts metav1.ListOptions,
) (list *metav1.PartialObjectMetadataList, err error) {
	err = s.ask(ctx, func(c Client) error {
		list, err = c.List(ctx, r, namespace, opts)
		return err
	})
	return list, err
}

// Patch implements Client.
func (s *spread) Patch(
	ctx context.Context, r Resource, namespace, name string, pt types.PatchType, body []byte, opts metav1.PatchOptions,
) (got *metav1.PartialObjectMetadata, err error) {
	err = s.ask(ctx, func(c Client) error {
		got, err = c.Patch(ctx, r, namespace, name, pt, body, opts)
		return err
	})
	return got, err
}

func (s *spread) ask(ctx context.Context, do func(Client) error) error {
	if len(s.instances) == 0 {
		return errNoClient
	}
	began := time.Now()
	in, probe := s.pick(began)
	err := do(in.client)

	s.mu.Lock()
	defer s.mu.Unlock()
	in.inFlight--
	if probe {
		in.probed = false
	}
	switch now := time.Now(); {
	case errors.Is(ctx.Err(), context.Canceled): // It was not awaited, and says nothing.
	case ailing(err):
		in.rested, in.until = now, now.Add(min(max(restTime, restShare*now.Sub(began)), longestRest))
	case !began.Before(in.rested): // What began before it ailed does not tell that it is well again.
		in.rested, in.until = time.Time{}, time.Time{}
	}
	return err
}

// pick chooses whom to ask, and tells if that is to find out whether it is back.
func (s *spread) pick(now time.Time) (in *instance, probe bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	best := -1
	for n := range s.instances {
		i := (s.next + n) % len(s.instances)
		if in := &s.instances[i]; in.due(now) {
			best, probe = i, true
			in.probed = true
			break
		}
		if best < 0 || s.instances[i].before(&s.instances[best]) {
			best = i
		}
	}
	s.next = (best + 1) % len(s.instances)
	s.instances[best].inFlight++
	return &s.instances[best], probe
}

// due tells that it is time to find out whether an instance that is left out is back.
func (in *instance) due(now time.Time) bool {
	return !in.until.IsZero() && !in.probed && !now.Before(in.until)
}

// before tells that an instance is to be asked rather than another: it alone is not left out, or it has fewer requests
// in flight.
func (in *instance) before(other *instance) bool {
	if out, otherOut := !in.until.IsZero(), !other.until.IsZero(); out != otherOut {
		return otherOut
	}
	return in.inFlight < other.inFlight
}

// ailing tells that an error is likely to be the instance's own, so that another may do better: no answer at all, also
// not in time; an answer of a proxy before it, of its being overloaded or shutting down; an etcd that does not answer
// it; and 401 and 403, since a kube-apiserver that starts forbids what its caches will allow in a moment. If all
// forbid, none is preferred, and nothing is lost. What a webhook or policy has caused is no instance's doing.
func ailing(err error) bool {
	if err == nil {
		return false
	}
	status, answered := statusOf(err)
	switch {
	case !answered:
		return true
	case denier(status) != (admission{}):
		return false
	}
	switch status.Code {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	case http.StatusInternalServerError:
		return steerInternal(status) == courseRetry
	}
	return false
}
