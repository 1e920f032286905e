// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kubeconfig reads and writes kubeconfig files of one cluster, one
// user and one context.
package kubeconfig

import (
	"errors"
	"fmt"
	"os"

	"sigs.k8s.io/yaml"
)

// Config is who asks whom, and how the two know each other.
type Config struct {
	Server      string
	CA          []byte
	Certificate []byte
	Key         []byte
}

// document is the file's format, as far as it is used here.
type document struct {
	APIVersion     string         `json:"apiVersion"`
	Kind           string         `json:"kind"`
	Clusters       []namedCluster `json:"clusters"`
	Users          []namedUser    `json:"users"`
	Contexts       []namedContext `json:"contexts"`
	CurrentContext string         `json:"current-context"`
}

type namedCluster struct {
	Name    string `json:"name"`
	Cluster struct {
		Server string `json:"server"`
		CA     []byte `json:"certificate-authority-data"`
	} `json:"cluster"`
}

type namedUser struct {
	Name string `json:"name"`
	User struct {
		Certificate []byte `json:"client-certificate-data"`
		Key         []byte `json:"client-key-data"`
	} `json:"user"`
}

type namedContext struct {
	Name    string `json:"name"`
	Context struct {
		Cluster string `json:"cluster"`
		User    string `json:"user"`
	} `json:"context"`
}

// Load reads a file such as kubeadm's admin.conf.
func Load(file string) (Config, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return Config{}, fmt.Errorf("read kubeconfig: %w", err)
	}
	var doc document
	if err := yaml.Unmarshal(content, &doc); err != nil {
		return Config{}, fmt.Errorf("read kubeconfig %s: %w", file, err)
	}
	if len(doc.Clusters) != 1 || len(doc.Users) != 1 {
		return Config{}, fmt.Errorf("read kubeconfig %s: %w", file, errors.New("not one cluster and one user"))
	}
	return Config{
		Server: doc.Clusters[0].Cluster.Server, CA: doc.Clusters[0].Cluster.CA,
		Certificate: doc.Users[0].User.Certificate, Key: doc.Users[0].User.Key,
	}, nil
}

// Save writes the file, readable for its owner alone.
func (c Config) Save(file string) error {
	const cluster, user = "cluster", "admin"
	doc := document{APIVersion: "v1", Kind: "Config", CurrentContext: user + "@" + cluster}
	named := namedCluster{Name: cluster}
	named.Cluster.Server, named.Cluster.CA = c.Server, c.CA
	holder := namedUser{Name: user}
	holder.User.Certificate, holder.User.Key = c.Certificate, c.Key
	join := namedContext{Name: doc.CurrentContext}
	join.Context.Cluster, join.Context.User = cluster, user
	doc.Clusters, doc.Users, doc.Contexts = []namedCluster{named}, []namedUser{holder}, []namedContext{join}
	content, err := yaml.Marshal(doc)
	if err != nil {
		return fmt.Errorf("render kubeconfig: %w", err)
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	return nil
}

// WithServer is the same for another address of the cluster.
func (c Config) WithServer(server string) Config {
	c.Server = server
	return c
}
