// Package loopback serves a plugin's services within a test process. It uses gRPC over a unix socket
// with the options of a real plugin and its host.
package loopback

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/agentarea/agentarea/sdk/plugin"
)

// Connect starts a server with the services that register registers, and returns a connection to it.
// Both are closed when the test ends.
func Connect(tb testing.TB, register func(*grpc.Server)) *grpc.ClientConn {
	cc, _ := Serve(tb, register)
	return cc
}

// Serve is like Connect, but also returns the server, so that a test can stop it.
func Serve(tb testing.TB, register func(*grpc.Server)) (*grpc.ClientConn, *grpc.Server) {
	tb.Helper()
	// The path of tb.TempDir may be too long for a socket.
	dir, err := os.MkdirTemp("", "loopback")
	if err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	l, err := new(net.ListenConfig).Listen(tb.Context(), "unix", path)
	if err != nil {
		tb.Fatal(err)
	}
	s := grpc.NewServer(plugin.ServerOptions()...)
	register(s)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = s.Serve(l)
	}()
	cc, err := grpc.NewClient("unix://"+path,
		append(plugin.DialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = cc.Close()
		s.Stop()
		<-served
		_ = os.RemoveAll(dir)
	})
	return cc, s
}
