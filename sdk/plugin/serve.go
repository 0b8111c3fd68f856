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
	"google.golang.org/grpc/grpclog"

	"github.com/agentarea/agentarea/sdk"
	basev1 "github.com/agentarea/agentarea/sdk/proto/base/v1"
)

// stopTime is the time that a plugin has to release its resources after its host has exited.
const stopTime = 2 * time.Second

// Serve serves a plugin until its host stops it or exits. The impl is the implementation of the plugin.
// If it implements sdk.Configurer, sdk.Healther or sdk.Stopper, Serve uses these methods. Serve calls
// register to register the service of the kind.
func Serve(kind string, info sdk.Info, impl any, register func(*grpc.Server)) {
	if served, err := serveDebug(kind, info, impl, register); served {
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", info.Name, err)
			os.Exit(1)
		}
		return
	}
	if os.Getenv(Handshake.MagicCookieKey) != Handshake.MagicCookieValue {
		fmt.Fprintf(os.Stderr,
			"%s is an AgentArea plugin of the kind %s. Add a plugin %q block for it to plugins.hcl, and start it with "+
				"agentarea serve.\n",
			info.Name, kind, kind)
		os.Exit(1)
	}
	logger := slog.New(NewLogHandler(os.Stderr, logLevel()))
	slog.SetDefault(logger)
	grpclog.SetLoggerV2(NewGRPCLogger(logger))
	base, err := newBase(kind, info, impl)
	if err != nil {
		slog.Error("invalid config struct", "error", err)
		os.Exit(1)
	}
	proxy, err := proxyOptions()
	if err != nil {
		slog.Error("cannot connect to the process started with --debug", "error", err)
		os.Exit(1)
	}
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: Handshake,
		Plugins: goplugin.PluginSet{kind: &connection{register: func(s *grpc.Server) {
			if proxy == nil {
				basev1.RegisterBaseServiceServer(s, base)
				register(s)
			}
			watchHost(os.Stdin, func() { exit(s, base) })
		}}},
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(slices.Concat(opts, ServerOptions(), proxy)...)
		},
		Logger: hclog.New(&hclog.LoggerOptions{Output: os.Stderr, Level: hclog.Warn, JSONFormat: true}),
	})
	base.stopWithin(stopTime)
}

// exit ends a plugin whose host has exited. It cancels the calls, so that Serve returns and removes the
// socket.
func exit(s *grpc.Server, base *base) {
	time.AfterFunc(2*stopTime, func() { os.Exit(1) })
	s.Stop()
	base.stopWithin(stopTime)
	os.Exit(0)
}

// Register registers the Base service with a gRPC server, as Serve does. It is for tests that serve
// without a separate process.
func Register(s *grpc.Server, kind string, info sdk.Info, impl any) error {
	b, err := newBase(kind, info, impl)
	if err != nil {
		return err
	}
	basev1.RegisterBaseServiceServer(s, b)
	return nil
}

// stopWithin calls stop with a timeout and logs its error.
func (b *base) stopWithin(d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	if err := b.stop(ctx); err != nil {
		slog.Error("stopping plugin failed", "error", err)
	}
}
