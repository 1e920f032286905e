// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package staticpod

// Encryption is what a kube-apiserver's manifest says about its encryption configuration. Zero: it is off.
type Encryption struct {
	// ConfigPath is the flag --encryption-provider-config, as the container sees the file.
	ConfigPath string `json:"configPath,omitempty"`
	// AutomaticReload is the flag --encryption-provider-config-automatic-reload.
	AutomaticReload bool `json:"automaticReload,omitempty"`
	// HostPath is where the file is on the node. Empty if the path is outside every hostPath mount.
	HostPath string `json:"hostPath,omitempty"`
	// FileMount is true if the single file is mounted: one that is replaced by rename would never be seen.
	FileMount bool `json:"fileMount,omitempty"`
}
