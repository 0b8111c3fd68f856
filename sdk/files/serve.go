package files

import (
	"slices"

	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/plugin"
	filesv1 "github.com/agentarea/agentarea/sdk/proto/files/v1"
)

// Kind is the name of the plugin kind in plugins.hcl.
const Kind = "files"

// CapabilityPresign is the capability of a plugin whose backend implements Presigner.
const CapabilityPresign = "presign"

// Serve serves a backend until the host stops the process. Call it at the end of main. If backend also
// implements Presigner, sdk.Configurer, sdk.Healther or sdk.Stopper, Serve uses these methods.
func Serve(info sdk.Info, backend Backend) {
	if _, ok := backend.(Presigner); ok && !slices.Contains(info.Capabilities, CapabilityPresign) {
		info.Capabilities = append(slices.Clone(info.Capabilities), CapabilityPresign)
	}
	plugin.Serve(Kind, info, backend, func(s *grpc.Server) { Register(s, backend) })
}

// Register registers the files service with a gRPC server. Serve calls it; plugins need not.
func Register(s *grpc.Server, backend Backend) {
	filesv1.RegisterFilesServiceServer(s, &server{backend: backend})
}
