// Copyright The kubectl-encryption Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kmsplugin serves a KMS plugin of each version on a socket, for the corpus of package stored. Its "encryption" is base64:
// it keeps nothing secret.
package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"os"

	"google.golang.org/grpc"
	"k8s.io/kms/apis/v1beta1"
	"k8s.io/kms/apis/v2"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: kmsplugin SOCKET-OF-V1 SOCKET-OF-V2")
		os.Exit(1)
	}
	server := grpc.NewServer()
	v1beta1.RegisterKeyManagementServiceServer(server, pluginV1{})
	v2.RegisterKeyManagementServiceServer(server, pluginV2{})
	ended := make(chan error)
	for _, path := range os.Args[1:] {
		listener, err := new(net.ListenConfig).Listen(context.Background(), "unix", path)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		go func() { ended <- server.Serve(listener) }()
	}
	fmt.Fprintln(os.Stderr, <-ended)
	os.Exit(1)
}

func encode(plain []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(plain)) }

func decode(cipher []byte) ([]byte, error) { return base64.StdEncoding.DecodeString(string(cipher)) }

type pluginV1 struct {
	v1beta1.UnimplementedKeyManagementServiceServer
}

func (pluginV1) Version(context.Context, *v1beta1.VersionRequest) (*v1beta1.VersionResponse, error) {
	return &v1beta1.VersionResponse{Version: "v1beta1", RuntimeName: "base64", RuntimeVersion: "1"}, nil
}

func (pluginV1) Encrypt(_ context.Context, r *v1beta1.EncryptRequest) (*v1beta1.EncryptResponse, error) {
	return &v1beta1.EncryptResponse{Cipher: encode(r.GetPlain())}, nil
}

func (pluginV1) Decrypt(_ context.Context, r *v1beta1.DecryptRequest) (*v1beta1.DecryptResponse, error) {
	plain, err := decode(r.GetCipher())
	return &v1beta1.DecryptResponse{Plain: plain}, err
}

type pluginV2 struct {
	v2.UnimplementedKeyManagementServiceServer
}

func (pluginV2) Status(context.Context, *v2.StatusRequest) (*v2.StatusResponse, error) {
	return &v2.StatusResponse{Version: "v2", Healthz: "ok", KeyId: "arn:key/4711"}, nil
}

func (pluginV2) Encrypt(_ context.Context, r *v2.EncryptRequest) (*v2.EncryptResponse, error) {
	return &v2.EncryptResponse{
		Ciphertext:  encode(r.GetPlaintext()),
		KeyId:       "arn:key/4711",
		Annotations: map[string][]byte{"local.kek.example.com": []byte("1")},
	}, nil
}

func (pluginV2) Decrypt(_ context.Context, r *v2.DecryptRequest) (*v2.DecryptResponse, error) {
	plain, err := decode(r.GetCiphertext())
	return &v2.DecryptResponse{Plaintext: plain}, err
}
