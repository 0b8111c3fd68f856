// Package plugin contains what plugins of all kinds and their host have in common: the handshake, the
// process of a plugin (Serve), the Base service that every plugin implements, config schemas from struct
// tags, and the conversion of errors to and from gRPC.
//
// Plugins rarely use it directly, because the Serve functions of sdk/agent, sdk/llm, sdk/files and
// sdk/mcptransport call Serve. It provides the following for a plugin:
//
//   - The default slog logger writes to the server's log. With the context of a call, as in
//     slog.InfoContext, the lines contain the run ID.
//   - A panic in a call is logged and fails only that call.
//   - The process exits when its host exits.
//   - With the flag --debug, the program serves without a server, for example in a debugger. It prints
//     the line for plugins.hcl that makes the server use it.
//   - The struct in sdk.Info.Config is filled in from plugins.hcl before any other call.
package plugin

import (
	"context"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/sdk/internal/wire"
)

// ProtocolVersion is the major version of the protocol between host and plugin.
const ProtocolVersion = 1

// MaxMessageSize is the maximum size of a gRPC message in both directions, in bytes.
const MaxMessageSize = 64 << 20

// Handshake is the go-plugin handshake, with which a plugin detects that a host started it. Its cookie
// is not a secret.
var Handshake = goplugin.HandshakeConfig{
	ProtocolVersion:  ProtocolVersion,
	MagicCookieKey:   "AGENTAREA_PLUGIN",
	MagicCookieValue: "f3b0c1a94e7d4d0a8f5c26e97b1d83ea",
}

// streamWindow and connWindow are the flow control windows in bytes. They are fixed, because gRPC's
// dynamic windows need a ping for almost every message of a token stream.
const (
	streamWindow = 1 << 20
	connWindow   = 4 << 20
)

// DialOptions returns the options for the host's connection to a plugin.
func DialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(MaxMessageSize), grpc.MaxCallSendMsgSize(MaxMessageSize)),
		grpc.WithStaticStreamWindowSize(streamWindow),
		grpc.WithStaticConnWindowSize(connWindow),
	}
}

// ServerOptions returns the options for the gRPC server of a plugin. They set the message limits, fail a
// call that panics, and convert errors.
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

// Set returns the go-plugin plugin set of a kind for the host. Dispense(kind) of the go-plugin client
// returns the *grpc.ClientConn, which NewBase and the NewClient functions of the kinds use.
func Set(kind string) goplugin.PluginSet {
	return goplugin.PluginSet{kind: &connection{}}
}

// connection implements the go-plugin interfaces of the host and of the plugin.
type connection struct {
	goplugin.NetRPCUnsupportedPlugin
	register func(*grpc.Server)
}

// GRPCServer implements goplugin.GRPCPlugin.
func (c *connection) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	c.register(s)
	return nil
}

// GRPCClient implements goplugin.GRPCPlugin.
func (c *connection) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, cc *grpc.ClientConn) (any, error) {
	return cc, nil
}

// ToStatus converts err to a gRPC status error, which FromStatus converts back to an *sdk.Error with the
// same fields. A context error gets CodeCancelled or CodeTimeout, and any other error that is not an
// *sdk.Error gets CodeInternal.
func ToStatus(err error) error { return wire.ToStatus(err) }

// FromStatus converts the error of a gRPC call to an *sdk.Error. If the connection broke, the error has
// CodePluginCrashed and is retryable. FromStatus(nil) returns nil.
func FromStatus(err error) error { return wire.FromStatus(err) }
