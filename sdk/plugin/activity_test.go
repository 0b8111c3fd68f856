package plugin_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/internal/loopback"
	"github.com/agentarea/agentarea/sdk/llm"
	"github.com/agentarea/agentarea/sdk/plugin"
)

// deaf is a provider whose answers end with the test and not with their context.
type deaf struct{ begun, end chan struct{} }

func (deaf) ListModels(context.Context) ([]llm.Model, error) { return nil, nil }

func (d deaf) Chat(context.Context, *llm.Request, llm.Stream) (*llm.Finish, error) {
	close(d.begun)
	<-d.end
	return &llm.Finish{}, nil
}

type discard struct{}

func (discard) Send(llm.Delta) error { return nil }

// A call that the host has cancelled is in progress until its handler returns. Calls of the Base service are not
// counted.
func TestActivity(t *testing.T) {
	t.Parallel()
	d := deaf{begun: make(chan struct{}), end: make(chan struct{})}
	cc := loopback.Connect(t, func(s *grpc.Server) {
		if err := plugin.Register(s, llm.Kind, sdk.Info{Name: "deaf"}, d); err != nil {
			t.Fatal(err)
		}
		llm.Register(s, d)
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = llm.NewClient(cc).Chat(ctx, &llm.Request{Stream: true}, discard{})
	}()
	<-d.begun
	cancel()
	<-ended
	base := plugin.NewBase(cc)
	a, err := base.Activity(t.Context())
	if err != nil || a.Calls == nil || *a.Calls != 1 || a.Tasks == nil || *a.Tasks < 1 {
		t.Errorf("Activity() after a cancellation that the provider ignores = %+v, %v, want 1 call, and tasks", a, err)
	}
	close(d.end)
	for deadline := time.Now().Add(time.Minute); *a.Calls > 0 && time.Now().Before(deadline); {
		if a, err = base.Activity(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if *a.Calls != 0 {
		t.Errorf("Activity() after the end of the call = %d calls, want 0", *a.Calls)
	}
}
