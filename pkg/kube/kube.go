// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kube makes clients from what kubectl's flags say, and asks the API server what they may do.
package kube

import (
	"context"
	"fmt"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/version"
)

// Cluster is one cluster as a kubeconfig names it, with clients for it.
type Cluster struct {
	// Context, Server and User are the names of the kubeconfig.
	Context, Server, User string
	// Config is what the clients are made of.
	Config    *rest.Config
	Typed     kubernetes.Interface
	Metadata  metadata.Interface
	Discovery discovery.DiscoveryInterface
}

// Connect makes clients. It sends no request.
func Connect(getter genericclioptions.RESTClientGetter) (*Cluster, error) {
	config, err := getter.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	config = rest.CopyConfig(config)
	config.UserAgent = project.Name + "/" + version.Get().Version
	// The server protects itself by priority and fairness; a client-side limit would only slow migrations down.
	config.QPS = -1
	c := &Cluster{Server: config.Host, Config: config}
	raw, err := getter.ToRawKubeConfigLoader().RawConfig()
	if err == nil {
		c.name(raw, getter)
	}
	if c.Typed, err = kubernetes.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	if c.Metadata, err = metadata.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("make metadata client: %w", err)
	}
	c.Discovery = c.Typed.Discovery()
	return c, nil
}

func (c *Cluster) name(raw api.Config, getter genericclioptions.RESTClientGetter) {
	c.Context = raw.CurrentContext
	if flags, ok := getter.(*genericclioptions.ConfigFlags); ok && flags.Context != nil && *flags.Context != "" {
		c.Context = *flags.Context
	}
	if named, ok := raw.Contexts[c.Context]; ok {
		c.User = named.AuthInfo
	}
}

// Now is the time by the API server's clock, to the second. Records carry it, since the clock of the machine that runs
// the program may be wrong.
func (c *Cluster) Now(ctx context.Context) (time.Time, error) {
	client, err := rest.HTTPClientFor(c.Config)
	if err != nil {
		return time.Time{}, fmt.Errorf("make HTTP client: %w", err)
	}
	base, _, err := rest.DefaultServerUrlFor(c.Config)
	if err != nil {
		return time.Time{}, fmt.Errorf("read server address: %w", err)
	}
	var date string
	err = Retry(ctx, func(ctx context.Context) (err error) {
		date, err = askDate(ctx, client, base.JoinPath("version").String())
		return err
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("ask the API server for the time: %w", err)
	}
	now, err := http.ParseTime(date)
	if err != nil {
		return time.Time{}, fmt.Errorf("the API server's answer carries no date: %w", err)
	}
	return now, nil
}

// answerWait is how long a kube-apiserver may take for an answer that costs it nothing. Behind a balancer another may give it.
const answerWait = 10 * time.Second

// askDate is the date of an answer. That of a server's error may be by the clock of a proxy that could not reach it.
func askDate(ctx context.Context, client *http.Client, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", fmt.Errorf("make request: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	_ = resp.Body.Close()
	if resp.StatusCode >= http.StatusInternalServerError {
		return "", apierrors.NewServiceUnavailable(resp.Status)
	}
	return resp.Header.Get("Date"), nil
}
