// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/util/retry"

	"github.com/kubectl-encryption/kubectl-encryption/pkg/hint"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/kube"
	"github.com/kubectl-encryption/kubectl-encryption/pkg/project"
)

// dataKey is where the ConfigMap holds the record, as JSON.
const dataKey = "ledger.json"

const description = "Record of encryption key rotations and migrations, written by " + project.Command +
	". It holds no keys. Deleting it loses history and baselines, nothing else."

// Store reads and writes the ConfigMap.
type Store struct {
	Client coreclient.ConfigMapsGetter
}

// Load reads the record. Without one it is empty, and found is false.
func (s Store) Load(ctx context.Context) (l *Ledger, found bool, err error) {
	var cm *corev1.ConfigMap
	err = kube.Retry(ctx, func(ctx context.Context) error {
		cm, err = s.Client.ConfigMaps(project.Namespace).Get(ctx, project.Name, metav1.GetOptions{})
		return err
	})
	if apierrors.IsNotFound(err) {
		return &Ledger{Version: Version}, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read the ledger: %w", err)
	}
	l, err = decode(cm)
	return l, err == nil, err
}

func decode(cm *corev1.ConfigMap) (*Ledger, error) {
	var l Ledger
	if err := json.Unmarshal([]byte(cm.Data[dataKey]), &l); err != nil {
		return nil, hint.Errorf(remove(), "the ledger %s/%s is not understood: %v", cm.Namespace, cm.Name, err)
	}
	if l.Version != Version {
		return nil, hint.Errorf("use the newer version of "+project.Command+" that wrote it",
			"the ledger %s/%s has version %d, this program knows version %d", cm.Namespace, cm.Name, l.Version, Version)
	}
	for i := range l.Rotations {
		l.Rotations[i].dropHollowConfig()
	}
	return &l, nil
}

func remove() string {
	return "it is a record only; remove it with: kubectl -n " + project.Namespace + " delete configmap " + project.Name
}

// Update reads the record, changes it and writes it back, again if somebody else was faster or the server could not
// answer. The change must bear being made twice.
func (s Store) Update(ctx context.Context, change func(*Ledger)) error {
	contended := func(err error) bool { return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) }
	err := retry.OnError(retry.DefaultBackoff, contended, func() error {
		return kube.Retry(ctx, func(ctx context.Context) error { return s.update(ctx, change) })
	})
	if err != nil {
		return fmt.Errorf("write the ledger: %w", err)
	}
	return nil
}

func (s Store) update(ctx context.Context, change func(*Ledger)) error {
	client := s.Client.ConfigMaps(project.Namespace)
	cm, err := client.Get(ctx, project.Name, metav1.GetOptions{})
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return err
	}
	l := &Ledger{Version: Version}
	if !missing {
		if l, err = decode(cm); err != nil {
			return err
		}
	}
	change(l)
	data, err := encode(l)
	if err != nil {
		return err
	}
	if missing {
		_, err = client.Create(ctx, newConfigMap(string(data)), metav1.CreateOptions{FieldManager: project.FieldManager})
		return err
	}
	cm.Data = map[string]string{dataKey: string(data)}
	_, err = client.Update(ctx, cm, metav1.UpdateOptions{FieldManager: project.FieldManager})
	return err
}

// maxSize leaves room under the limit of a ConfigMap, 1 MiB.
const maxSize = 900 << 10

// encode writes the record, without its oldest rotations if it would not fit otherwise.
func encode(l *Ledger) ([]byte, error) {
	for {
		data, err := json.MarshalIndent(l, "", " ")
		if err != nil || len(data) <= maxSize || len(l.Rotations) <= 1 {
			return data, err
		}
		l.Rotations = l.Rotations[1:]
	}
}

func newConfigMap(data string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Name: project.Name, Namespace: project.Namespace,
			Labels:      map[string]string{project.LabelName: project.Name},
			Annotations: map[string]string{"kubernetes.io/description": description},
		},
		Data: map[string]string{dataKey: data},
	}
}
