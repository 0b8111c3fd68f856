package plugin

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/sdk"
	basev1 "github.com/agentarea/agentarea/sdk/proto/base/v1"
)

// stopTime is how long a plugin may take to let go when its host is gone.
const stopTime = 2 * time.Second

// Serve runs the process of a plugin until its host stops it or is gone. impl
// is the author's value, asked for sdk.Configurer, sdk.Healther and
// sdk.Stopper; register adds the service of the kind.
func Serve(kind string, info sdk.Info, impl any, register func(*grpc.Server)) {
	if asked, err := underDebugger(kind, info, impl, register); asked {
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", info.Name, err)
			os.Exit(1)
		}
		return
	}
	if os.Getenv(Handshake.MagicCookieKey) != Handshake.MagicCookieValue {
		fmt.Fprintf(os.Stderr, "%s is an %s plugin of AgentArea: name it in a plugin %q stanza of plugins.hcl, and agentarea serve starts it.\n",
			info.Name, kind, kind)
		os.Exit(1)
	}
	slog.SetDefault(slog.New(NewLogHandler(os.Stderr, logLevel())))
	base, err := newBase(kind, info, impl)
	if err != nil {
		slog.Error("the plugin's own config struct is wrong", "error", err)
		os.Exit(1)
	}
	passOn, err := attached()
	if err != nil {
		slog.Error("the process under the debugger can't be reached", "error", err)
		os.Exit(1)
	}
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: Handshake,
		Plugins: goplugin.PluginSet{kind: &connection{register: func(s *grpc.Server) {
			if passOn == nil {
				basev1.RegisterBaseServiceServer(s, base)
				register(s)
			}
			watchHost(os.Stdin, func() { end(s, base) })
		}}},
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(slices.Concat(opts, ServerOptions(), passOn)...)
		},
		Logger: hclog.New(&hclog.LoggerOptions{Output: os.Stderr, Level: hclog.Warn, JSONFormat: true}),
	})
	base.stopWithin(stopTime)
}

// end lets a plugin without a host go: its calls are cut, so that Serve returns
// and the socket's file is removed.
func end(s *grpc.Server, base *base) {
	time.AfterFunc(2*stopTime, func() { os.Exit(1) })
	s.Stop()
	base.stopWithin(stopTime)
	os.Exit(0)
}

// Register adds the Base service to a server, as Serve does: for tests and
// kits that serve without a process of their own.
func Register(s *grpc.Server, kind string, info sdk.Info, impl any) error {
	b, err := newBase(kind, info, impl)
	if err != nil {
		return err
	}
	basev1.RegisterBaseServiceServer(s, b)
	return nil
}

func (b *base) stopWithin(d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	if err := b.stop(ctx); err != nil {
		slog.Error("stop", "error", err)
	}
}
