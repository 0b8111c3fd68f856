package agent

import (
	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/plugin"
	agentv1 "github.com/agentarea/agentarea/sdk/proto/agent/v1"
)

// Kind is the kind's word in plugins.hcl.
const Kind = "agent"

// Serve runs an agent type's process until the host stops it: the last line of
// an author's main. t may be an sdk.Configurer, sdk.Healther and sdk.Stopper too.
func Serve(info sdk.Info, t Type) {
	plugin.Serve(Kind, info, t, func(s *grpc.Server) { Register(s, t) })
}

// Register adds the agent service to a server; Serve does it for an author.
func Register(s *grpc.Server, t Type) {
	agentv1.RegisterAgentServiceServer(s, &server{agentType: t})
}
