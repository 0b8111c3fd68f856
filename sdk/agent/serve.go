package agent

import (
	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/plugin"
	agentv1 "github.com/agentarea/agentarea/sdk/proto/agent/v1"
)

// Kind is the name of the plugin kind in plugins.hcl.
const Kind = "agent"

// Serve serves an agent type until the host stops the process. Call it at the end of main. If t also
// implements sdk.Configurer, sdk.Healther or sdk.Stopper, Serve uses these methods.
func Serve(info sdk.Info, t Type) {
	plugin.Serve(Kind, info, t, func(s *grpc.Server) { Register(s, t) })
}

// Register registers the agent service with a gRPC server. Serve calls it; plugins need not.
func Register(s *grpc.Server, t Type) {
	agentv1.RegisterAgentServiceServer(s, &server{agentType: t})
}
