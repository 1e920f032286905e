// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Manifest is what a kube-apiserver's mirror pod says about its encryption configuration.
type Manifest struct {
	// ConfigPath is the flag --encryption-provider-config, as the container sees the file; empty if it is not set.
	ConfigPath string
	// AutomaticReload is the flag --encryption-provider-config-automatic-reload.
	AutomaticReload bool
	// HostDir and File are where the file is on the node. Empty if the path is outside every mount.
	HostDir, File string
	// FileMount is true if the single file is mounted: a file that is replaced by rename would never be seen.
	FileMount bool
	// SecurePort is the port that kube-apiserver serves on.
	SecurePort int
	// CompactionInterval is how often kube-apiserver compacts etcd, 0 if it does not.
	CompactionInterval time.Duration
	// EventTTL is how long events are kept.
	EventTTL time.Duration
	// AdvertiseAddress is the flag --advertise-address, empty if it is not set.
	AdvertiseAddress string
	// RunAsUser is the user that the container runs as, 0 for root.
	RunAsUser int64
}

// The defaults of kube-apiserver 1.26 to 1.37.
const (
	defaultSecurePort         = 6443
	defaultCompactionInterval = 5 * time.Minute
	defaultEventTTL           = time.Hour
)

// ReadManifest reads the flags and mounts of a kube-apiserver's pod. It refuses what it does not understand.
func ReadManifest(pod *corev1.Pod) (Manifest, error) {
	container, command, err := apiserver(pod)
	if err != nil {
		return Manifest{}, err
	}
	flags, err := readFlags(command)
	if err != nil {
		return Manifest{}, fmt.Errorf("pod %s: %w", pod.Name, err)
	}
	m := Manifest{
		ConfigPath: flags["encryption-provider-config"],
		SecurePort: defaultSecurePort, CompactionInterval: defaultCompactionInterval, EventTTL: defaultEventTTL,
		AdvertiseAddress: flags["advertise-address"], RunAsUser: runAsUser(pod, container),
	}
	if m.AutomaticReload, err = boolean(flags, "encryption-provider-config-automatic-reload"); err != nil {
		return Manifest{}, fmt.Errorf("pod %s: %w", pod.Name, err)
	}
	if s, ok := flags["secure-port"]; ok {
		if m.SecurePort, err = strconv.Atoi(s); err != nil {
			return Manifest{}, fmt.Errorf("pod %s: the flag --secure-port is not a number", pod.Name)
		}
	}
	for name, into := range map[string]*time.Duration{
		"etcd-compaction-interval": &m.CompactionInterval, "event-ttl": &m.EventTTL,
	} {
		if s, ok := flags[name]; ok {
			if *into, err = time.ParseDuration(s); err != nil || *into < 0 {
				return Manifest{}, fmt.Errorf("pod %s: the flag --%s is not a duration", pod.Name, name)
			}
		}
	}
	m.locate(pod, container)
	return m, nil
}

// apiserver is the container that runs kube-apiserver, and the words that it runs it with.
func apiserver(pod *corev1.Pod) (container corev1.Container, command []string, err error) {
	at := slices.IndexFunc(pod.Spec.Containers, func(c corev1.Container) bool { return c.Name == "kube-apiserver" })
	if at < 0 {
		return corev1.Container{}, nil, fmt.Errorf("pod %s has no container kube-apiserver", pod.Name)
	}
	container = pod.Spec.Containers[at]
	command = append(slices.Clone(container.Command), container.Args...)
	if len(command) == 0 || !strings.HasPrefix(command[0], "-") && path.Base(command[0]) != "kube-apiserver" {
		return corev1.Container{}, nil, fmt.Errorf("pod %s: its container does not run kube-apiserver directly, so its flags can't be told", pod.Name)
	}
	return container, command, nil
}

// runAsUser is the user that a container runs as, 0 where nothing else is said: kube-apiserver's image says root.
func runAsUser(pod *corev1.Pod, c corev1.Container) int64 {
	if s := c.SecurityContext; s != nil && s.RunAsUser != nil {
		return *s.RunAsUser
	}
	if s := pod.Spec.SecurityContext; s != nil && s.RunAsUser != nil {
		return *s.RunAsUser
	}
	return 0
}

// readFlags reads "--name=value", "--name value" and "--name"; the command itself comes first and is passed over.
func readFlags(command []string) (map[string]string, error) {
	flags := map[string]string{}
	for i, word := range command {
		name, value, hasValue := flagOf(word)
		if !strings.HasPrefix(name, "encryption-") && !slices.Contains(
			[]string{"secure-port", "etcd-compaction-interval", "event-ttl", "advertise-address"}, name) {
			continue
		}
		if _, twice := flags[name]; twice {
			return nil, fmt.Errorf("the flag --%s is given twice", name)
		}
		if !hasValue && i+1 < len(command) && !strings.HasPrefix(command[i+1], "-") {
			value = command[i+1]
		}
		flags[name] = value
	}
	return flags, nil
}

func boolean(flags map[string]string, name string) (bool, error) {
	value, given := flags[name]
	if !given {
		return false, nil
	}
	if value == "" {
		return true, nil
	}
	b, err := strconv.ParseBool(value)
	if err != nil {
		return false, fmt.Errorf("the flag --%s is neither true nor false", name)
	}
	return b, nil
}

// locate tells where the configuration is on the node.
func (m *Manifest) locate(pod *corev1.Pod, c corev1.Container) {
	if m.ConfigPath == "" {
		return
	}
	full, isMount := follow(pod, c, m.ConfigPath)
	if full == "" {
		return
	}
	m.HostDir, m.File, m.FileMount = path.Dir(full), path.Base(full), isMount
}

// follow follows a path of the container through the longest mount that holds it to a hostPath volume. Host is empty if there
// is none; isMount tells that the mount shows nothing but the path itself.
func follow(pod *corev1.Pod, c corev1.Container, file string) (host string, isMount bool) {
	var mount *corev1.VolumeMount
	for i := range c.VolumeMounts {
		vm := &c.VolumeMounts[i]
		if within(file, vm.MountPath) && (mount == nil || len(vm.MountPath) > len(mount.MountPath)) {
			mount = vm
		}
	}
	if mount == nil {
		return "", false
	}
	at := slices.IndexFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == mount.Name })
	if at < 0 || pod.Spec.Volumes[at].HostPath == nil || mount.SubPathExpr != "" {
		return "", false
	}
	inside := strings.TrimPrefix(path.Clean(file), path.Clean(mount.MountPath))
	return path.Join(pod.Spec.Volumes[at].HostPath.Path, mount.SubPath, inside), inside == ""
}

func within(file, dir string) bool {
	file, dir = path.Clean(file), path.Clean(dir)
	return file == dir || strings.HasPrefix(file, strings.TrimSuffix(dir, "/")+"/")
}
