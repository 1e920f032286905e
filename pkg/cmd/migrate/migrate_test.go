// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package migrate_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/migrate"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/cmd/options"
)

func TestValidate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change  func(*migrate.Flags)
		message string // empty for valid flags
	}{
		"resources":                {func(*migrate.Flags) {}, ""},
		"no resource":              {func(f *migrate.Flags) { f.Resources = nil }, "--resources must name what to migrate, such as --resources secrets,configmaps"},
		"JSON":                     {func(f *migrate.Flags) { f.Output = "json" }, ""},
		"YAML":                     {func(f *migrate.Flags) { f.Output = "yaml" }, `--output "yaml" is not json`},
		"no image":                 {func(f *migrate.Flags) { f.Agent.Image = "" }, "--agent-image must name an image"},
		"no time":                  {func(f *migrate.Flags) { f.Agent.JobTimeout = 0 }, "--job-timeout and --converge-timeout must be longer than nothing"},
		"too much at a time":       {func(f *migrate.Flags) { f.Migration.Concurrency = 100 }, "--concurrency must be from 0 to 64"},
		"less than no objects":     {func(f *migrate.Flags) { f.Migration.MaxRate = -1 }, "--max-rate must not be negative"},
		"fewer failures than none": {func(f *migrate.Flags) { f.Migration.MaxFailures = -1 }, "--max-failures must not be negative"},
		"the cluster's engine":     {func(f *migrate.Flags) { f.Migration.Engine = "svm" }, ""},
		"an unknown engine":        {func(f *migrate.Flags) { f.Migration.Engine = "steam" }, `--engine "steam" is not one of native, svm`},
		"a pace for an engine that has its own": {
			func(f *migrate.Flags) { f.Migration.Engine, f.Migration.MaxRate = "svm", 5 },
			"--concurrency and --max-rate are for --engine=native: the cluster's controller writes one object at a time, as fast as it may",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &migrate.Flags{
				Resources: []string{"secrets"}, Agent: options.Agent{Image: "i", JobTimeout: time.Minute, ConvergeTimeout: time.Minute},
				Migration: options.Migration{Engine: "native"},
			}
			tt.change(f)
			err := f.Validate()
			if tt.message == "" {
				assert.NoError(t, err)
				return
			}
			assert.EqualError(t, err, tt.message)
		})
	}
}
