// Package loopback serves a plugin's services to a host in the same process,
// for tests: real gRPC over a unix socket, with the options of a plugin's
// process and of its host.
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

// Connect serves what register adds, until the test ends.
func Connect(tb testing.TB, register func(*grpc.Server)) *grpc.ClientConn {
	cc, _ := Serve(tb, register)
	return cc
}

// Serve is Connect that gives the server too, for a test that ends it early.
func Serve(tb testing.TB, register func(*grpc.Server)) (*grpc.ClientConn, *grpc.Server) {
	tb.Helper()
	// Not tb.TempDir: its path may be too long for a socket.
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
