// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package hint_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
)

func TestACertificateThatIsNotValidNowMakesOneLookAtTheClock(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, time.May, 1, 12, 0, 0, 0, time.UTC)
	invalid := func(reason x509.InvalidReason) error {
		cert := &x509.Certificate{NotBefore: from, NotAfter: from.AddDate(1, 0, 0)}
		return &url.Error{Op: "Get", URL: "https://192.0.2.10:6443", Err: &tls.CertificateVerificationError{
			Err: x509.CertificateInvalidError{Cert: cert, Reason: reason},
		}}
	}
	const told = "hint:  is this machine's clock right? The certificate is valid from 2026-05-01T12:00:00Z to 2027-05-01T12:00:00Z\n"
	expired := hint.AtStage(fmt.Errorf("list nodes: %w", invalid(x509.Expired)), "", "nothing was changed")
	assert.Contains(t, hint.Render(hint.Clock(expired)), "state: nothing was changed\n  "+told)
	assert.NotContains(t, hint.Render(hint.Clock(invalid(x509.NotAuthorizedToSign))), "clock")
	other := errors.New("no route to host")
	assert.Equal(t, other, hint.Clock(other))
}
