package plugin

import (
	"context"

	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/internal/wire"
	basev1 "github.com/agentarea/agentarea/sdk/proto/base/v1"
)

// Base is the host's side of what plugins of every kind answer. Its errors are
// *sdk.Error; a plugin that is gone is CodePluginCrashed.
type Base struct{ client basev1.BaseServiceClient }

// Description is what a plugin says of itself.
type Description struct {
	Kind, Name, Version, Description string
	Capabilities                     []string
}

// NewBase speaks to the plugin at the other end of cc.
func NewBase(cc grpc.ClientConnInterface) *Base {
	return &Base{client: basev1.NewBaseServiceClient(cc)}
}

// Describe asks what the plugin is.
func (b *Base) Describe(ctx context.Context) (Description, error) {
	r, err := b.client.Describe(ctx, &basev1.DescribeRequest{})
	if err != nil {
		return Description{}, wire.FromCall(ctx, err)
	}
	return Description{
		Kind: r.GetKind(), Name: r.GetName(), Version: r.GetVersion(),
		Description: r.GetDescription(), Capabilities: r.GetCapabilities(),
	}, nil
}

// ConfigSchema asks for the shape of the config block.
func (b *Base) ConfigSchema(ctx context.Context) (sdk.Block, error) {
	r, err := b.client.ConfigSchema(ctx, &basev1.ConfigSchemaRequest{})
	if err != nil {
		return sdk.Block{}, wire.FromCall(ctx, err)
	}
	return toBlock(r.GetSchema()), nil
}

// Configure hands over the config block as a JSON object, and gives what the
// plugin says against it. With any diagnostic that is no Warning, the plugin is
// not to be used.
func (b *Base) Configure(ctx context.Context, configJSON []byte, env sdk.Env) ([]sdk.Diagnostic, error) {
	r, err := b.client.Configure(ctx, &basev1.ConfigureRequest{
		ConfigJson: configJSON, Label: env.Label, DataDir: env.DataDir,
	})
	if err != nil {
		return nil, wire.FromCall(ctx, err)
	}
	return wire.ToDiagnostics(r.GetDiagnostics()), nil
}

// Health is nil when the plugin is fit to serve, and CodeUnavailable with its
// own words when it says that it is not.
func (b *Base) Health(ctx context.Context) error {
	r, err := b.client.Health(ctx, &basev1.HealthRequest{})
	if err != nil {
		return wire.FromCall(ctx, err)
	}
	if !r.GetHealthy() {
		return &sdk.Error{Code: sdk.CodeUnavailable, Message: r.GetMessage(), Retryable: true}
	}
	return nil
}

// Stop asks the plugin to let go of what it holds. Its process lives on.
func (b *Base) Stop(ctx context.Context) error {
	_, err := b.client.Stop(ctx, &basev1.StopRequest{})
	return wire.FromCall(ctx, err)
}
