package llm

import (
	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/plugin"
	llmv1 "github.com/agentarea/agentarea/sdk/proto/llm/v1"
)

// Kind is the name of the plugin kind in plugins.hcl.
const Kind = "llm"

// Serve serves a provider until the host stops the process. Call it at the end of main. If p also
// implements sdk.Configurer, sdk.Healther or sdk.Stopper, Serve uses these methods.
func Serve(info sdk.Info, p Provider) {
	plugin.Serve(Kind, info, p, func(s *grpc.Server) { Register(s, p) })
}

// Register registers the llm service with a gRPC server. Serve calls it; plugins need not.
func Register(s *grpc.Server, p Provider) {
	llmv1.RegisterLLMServiceServer(s, &server{provider: p})
}
