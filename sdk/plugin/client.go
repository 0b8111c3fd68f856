package plugin

import (
	"context"

	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/internal/wire"
	basev1 "github.com/agentarea/agentarea/sdk/proto/base/v1"
)

// Base is the host's client of the Base service. Its errors are *sdk.Error. If the plugin's process
// exits, the error has CodePluginCrashed.
type Base struct{ client basev1.BaseServiceClient }

// Description describes a plugin.
type Description struct {
	Kind, Name, Version, Description string
	Capabilities                     []string
}

// NewBase returns a Base that uses the connection cc.
func NewBase(cc grpc.ClientConnInterface) *Base {
	return &Base{client: basev1.NewBaseServiceClient(cc)}
}

// Describe returns the description of the plugin.
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

// ConfigSchema returns the schema of the config block.
func (b *Base) ConfigSchema(ctx context.Context) (sdk.Block, error) {
	r, err := b.client.ConfigSchema(ctx, &basev1.ConfigSchemaRequest{})
	if err != nil {
		return sdk.Block{}, wire.FromCall(ctx, err)
	}
	return toBlock(r.GetSchema()), nil
}

// Configure passes the config block to the plugin as a JSON object, and returns the problems that the
// plugin finds. The plugin must not be used if one of them is not a Warning.
func (b *Base) Configure(ctx context.Context, configJSON []byte, env sdk.Env) ([]sdk.Diagnostic, error) {
	r, err := b.client.Configure(ctx, &basev1.ConfigureRequest{
		ConfigJson: configJSON, Label: env.Label, DataDir: env.DataDir,
	})
	if err != nil {
		return nil, wire.FromCall(ctx, err)
	}
	return wire.ToDiagnostics(r.GetDiagnostics()), nil
}

// Health returns nil if the plugin reports that it is healthy. Otherwise it returns an error with
// CodeUnavailable and the message of the plugin.
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

// Activity is the work of a plugin at a moment. A field is nil if the plugin does not report it.
type Activity struct {
	// Calls is the number of calls in progress, without those of the Base service.
	Calls *int64
	// Tasks is the number of concurrent tasks in the process, such as goroutines or threads.
	Tasks *int64
}

// Activity returns what the plugin reports about its work. It does not return an error if the plugin reports
// that it is not healthy.
func (b *Base) Activity(ctx context.Context) (Activity, error) {
	r, err := b.client.Health(ctx, &basev1.HealthRequest{})
	if err != nil {
		return Activity{}, wire.FromCall(ctx, err)
	}
	return Activity{Calls: r.ActiveCalls, Tasks: r.Tasks}, nil
}

// Stop asks the plugin to release its resources. It does not end the process.
func (b *Base) Stop(ctx context.Context) error {
	_, err := b.client.Stop(ctx, &basev1.StopRequest{})
	return wire.FromCall(ctx, err)
}
