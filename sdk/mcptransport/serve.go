package mcptransport

import (
	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/plugin"
	mcpv1 "github.com/agentarea/agentarea/sdk/proto/mcp/v1"
)

// Serve serves a transport until the host stops the process. Call it at the end of main. If t also
// implements sdk.Configurer, sdk.Healther or sdk.Stopper, Serve uses these methods.
func Serve(info sdk.Info, t Transport) {
	plugin.Serve(Kind, info, t, func(s *grpc.Server) { Register(s, t) })
}

// Register registers the mcp service with a gRPC server. Serve calls it; plugins need not.
func Register(s *grpc.Server, t Transport) {
	mcpv1.RegisterMCPServiceServer(s, &server{transport: t})
}
