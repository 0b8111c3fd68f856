package llm

import (
	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/plugin"
	llmv1 "github.com/agentarea/agentarea/sdk/proto/llm/v1"
)

// Kind is the kind's word in plugins.hcl.
const Kind = "llm"

// Serve runs a provider's process until the host stops it: the last line of an
// author's main. p may be an sdk.Configurer, sdk.Healther and sdk.Stopper too.
func Serve(info sdk.Info, p Provider) {
	plugin.Serve(Kind, info, p, func(s *grpc.Server) { Register(s, p) })
}

// Register adds the llm service to a server; Serve does it for an author.
func Register(s *grpc.Server, p Provider) {
	llmv1.RegisterLLMServiceServer(s, &server{provider: p})
}
