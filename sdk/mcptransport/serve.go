package mcptransport

import (
	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/plugin"
	mcpv1 "github.com/agentarea/agentarea/sdk/proto/mcp/v1"
)

// Serve runs a transport's process until the host stops it: the last line of an
// author's main. t may be an sdk.Configurer, sdk.Healther and sdk.Stopper too.
func Serve(info sdk.Info, t Transport) {
	plugin.Serve(Kind, info, t, func(s *grpc.Server) { Register(s, t) })
}

// Register adds the mcp service to a server; Serve does it for an author.
func Register(s *grpc.Server, t Transport) {
	mcpv1.RegisterMCPServiceServer(s, &server{transport: t})
}
