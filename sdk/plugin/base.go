package plugin

import (
	"context"
	"runtime"
	"sync"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/internal/wire"
	basev1 "github.com/agentarea/agentarea/sdk/proto/base/v1"
)

// base implements the Base service with the plugin's implementation.
type base struct {
	basev1.UnimplementedBaseServiceServer
	kind   string
	info   sdk.Info
	schema *basev1.BlockSchema
	impl   any

	configuring sync.Mutex // serializes Configure
	stopping    sync.Once
	stopErr     error
}

// newBase returns an error if the config struct of info is not valid.
func newBase(kind string, info sdk.Info, impl any) (*base, error) {
	block, err := SchemaOf(info.Config)
	if err != nil {
		return nil, err
	}
	return &base{kind: kind, info: info, impl: impl, schema: fromBlock(block)}, nil
}

func (b *base) Describe(context.Context, *basev1.DescribeRequest) (*basev1.DescribeResponse, error) {
	return &basev1.DescribeResponse{
		Kind: b.kind, Name: b.info.Name, Version: b.info.Version,
		Description: b.info.Description, Capabilities: b.info.Capabilities,
	}, nil
}

func (b *base) ConfigSchema(context.Context, *basev1.ConfigSchemaRequest) (*basev1.ConfigSchemaResponse, error) {
	return &basev1.ConfigSchemaResponse{Schema: b.schema}, nil
}

func (b *base) Configure(ctx context.Context, req *basev1.ConfigureRequest) (*basev1.ConfigureResponse, error) {
	b.configuring.Lock()
	defer b.configuring.Unlock()
	err := Decode(req.GetConfigJson(), b.info.Config)
	if c, ok := b.impl.(sdk.Configurer); ok && err == nil {
		err = c.Configure(ctx, sdk.Env{Label: req.GetLabel(), DataDir: req.GetDataDir()})
	}
	return &basev1.ConfigureResponse{Diagnostics: wire.FromConfigErrors(err)}, nil
}

func (b *base) Health(ctx context.Context, _ *basev1.HealthRequest) (*basev1.HealthResponse, error) {
	calls, tasks := activeCalls.Load(), int64(runtime.NumGoroutine())
	r := &basev1.HealthResponse{Healthy: true, ActiveCalls: &calls, Tasks: &tasks}
	if h, ok := b.impl.(sdk.Healther); ok {
		if err := h.Health(ctx); err != nil {
			r.Healthy, r.Message = false, wire.UTF8(err.Error())
		}
	}
	return r, nil
}

func (b *base) Stop(ctx context.Context, _ *basev1.StopRequest) (*basev1.StopResponse, error) {
	if err := b.stop(ctx); err != nil {
		return nil, ToStatus(err)
	}
	return &basev1.StopResponse{}, nil
}

// stop calls the Stop method of the implementation once and returns its error.
func (b *base) stop(ctx context.Context) error {
	b.stopping.Do(func() {
		if s, ok := b.impl.(sdk.Stopper); ok {
			b.stopErr = s.Stop(ctx)
		}
	})
	return b.stopErr
}
