package files

import (
	"slices"

	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/plugin"
	filesv1 "github.com/agentarea/agentarea/sdk/proto/files/v1"
)

// Kind is the kind's word in plugins.hcl.
const Kind = "files"

// CapabilityPresign is the capability of a plugin whose backend is a Presigner.
const CapabilityPresign = "presign"

// Serve runs a backend's process until the host stops it: the last line of an
// author's main. backend may be a Presigner, and an sdk.Configurer, sdk.Healther
// and sdk.Stopper too.
func Serve(info sdk.Info, backend Backend) {
	if _, ok := backend.(Presigner); ok && !slices.Contains(info.Capabilities, CapabilityPresign) {
		info.Capabilities = append(slices.Clone(info.Capabilities), CapabilityPresign)
	}
	plugin.Serve(Kind, info, backend, func(s *grpc.Server) { Register(s, backend) })
}

// Register adds the files service to a server; Serve does it for an author.
func Register(s *grpc.Server, backend Backend) {
	filesv1.RegisterFilesServiceServer(s, &server{backend: backend})
}
