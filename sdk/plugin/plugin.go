// Package plugin is what plugins of every kind and their host share: the
// handshake, the process around a plugin (Serve), the Base service that every
// plugin answers, config blocks from struct tags, and errors that keep their
// kind across gRPC.
//
// A plugin author rarely needs it: the Serve of the plugin's kind (sdk/llm,
// sdk/agent, …) calls the one here. What an author gets from it:
//
//   - slog.Default writes lines that the host understands and passes on, with
//     the run's id when it is called with the call's context (slog.InfoContext).
//   - A panic in a call is logged and ends that call only.
//   - The process ends when its host does.
//   - Started by its author with --debug, it serves under a debugger, and says
//     which line of the stanza leads the server there.
//   - The struct in sdk.Info.Config is filled from plugins.hcl before any call.
package plugin

import (
	"context"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/sdk/internal/wire"
)

// ProtocolVersion is the major version of what host and plugin say to each other.
const ProtocolVersion = 1

// MaxMessageSize is the largest gRPC message that either side takes, in bytes.
const MaxMessageSize = 64 << 20

// Handshake tells a plugin that a host started it. It is no secret.
var Handshake = goplugin.HandshakeConfig{
	ProtocolVersion:  ProtocolVersion,
	MagicCookieKey:   "AGENTAREA_PLUGIN",
	MagicCookieValue: "f3b0c1a94e7d4d0a8f5c26e97b1d83ea",
}

// The windows are fixed, and larger than gRPC's: with its own estimate of the
// bandwidth it sends a ping for almost every message of a token stream.
const (
	streamWindow = 1 << 20
	connWindow   = 4 << 20
)

// DialOptions are the host's for the connection to a plugin.
func DialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(MaxMessageSize), grpc.MaxCallSendMsgSize(MaxMessageSize)),
		grpc.WithStaticStreamWindowSize(streamWindow),
		grpc.WithStaticConnWindowSize(connWindow),
	}
}

// ServerOptions are a plugin's for its gRPC server: limits, panics that end one
// call only, and errors that keep their kind.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(MaxMessageSize),
		grpc.MaxSendMsgSize(MaxMessageSize),
		grpc.StaticStreamWindowSize(streamWindow),
		grpc.StaticConnWindowSize(connWindow),
		grpc.UnaryInterceptor(unary),
		grpc.StreamInterceptor(stream),
	}
}

// Set is the host's side of go-plugin for a kind: its Dispense(kind) gives the
// *grpc.ClientConn, for NewBase and the NewClient of the kind's package.
func Set(kind string) goplugin.PluginSet {
	return goplugin.PluginSet{kind: &connection{}}
}

type connection struct {
	goplugin.NetRPCUnsupportedPlugin
	register func(*grpc.Server)
}

func (c *connection) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	c.register(s)
	return nil
}

func (c *connection) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, cc *grpc.ClientConn) (any, error) {
	return cc, nil
}

// ToStatus makes a gRPC status error of err that FromStatus turns back into an
// *sdk.Error of the same fields. An error that is not an *sdk.Error is
// CodeInternal, a context's end CodeCancelled or CodeTimeout.
func ToStatus(err error) error { return wire.ToStatus(err) }

// FromStatus makes an *sdk.Error of the error of a gRPC call. A connection that
// broke is CodePluginCrashed and retryable; nil stays nil.
func FromStatus(err error) error { return wire.FromStatus(err) }
