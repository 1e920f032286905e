// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package hint

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Clock says of an error about a certificate that is not valid now what "now" and the certificate say: one that is not valid yet, or
// that all machines find expired at once, is as a rule a wrong clock. Other errors stay as they are.
func Clock(err error) error {
	var invalid x509.CertificateInvalidError
	if !errors.As(err, &invalid) || invalid.Reason != x509.Expired || invalid.Cert == nil {
		return err
	}
	return AtStage(err, "", "", fmt.Sprintf("is this machine's clock right? The certificate is valid from %s to %s",
		invalid.Cert.NotBefore.UTC().Format(time.RFC3339), invalid.Cert.NotAfter.UTC().Format(time.RFC3339)))
}
