package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc/connectivity"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
	"github.com/agentarea/agentarea/sdk/llm"
)

const (
	// crashTime is how long a call whose connection broke waits to see the
	// process end.
	crashTime = 500 * time.Millisecond
	// brokenTime is how long it waits to see the connection break at all: the
	// code may be that of another plugin, which this one passed on.
	brokenTime = 50 * time.Millisecond
)

// runs is an agent type that tells of a crash what can be told.
type runs struct {
	*instance
	inner agent.Runner
}

// Run implements agent.Runner.
func (r *runs) Run(ctx context.Context, run *agent.Run, handler agent.Handler) (*sdk.Message, error) {
	r.calls.begin()
	defer r.calls.end()
	m, err := r.inner.Run(ctx, run, handler)
	return m, r.judge(ctx, err)
}

// provider is a provider that tells of a crash what can be told.
type provider struct {
	*instance
	inner llm.Provider
}

// ListModels implements llm.Provider.
func (p *provider) ListModels(ctx context.Context) ([]llm.Model, error) {
	p.calls.begin()
	defer p.calls.end()
	models, err := p.inner.ListModels(ctx)
	return models, p.judge(ctx, err)
}

// Chat implements llm.Provider.
func (p *provider) Chat(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
	p.calls.begin()
	defer p.calls.end()
	finish, err := p.inner.Chat(ctx, req, out)
	return finish, p.judge(ctx, err)
}

// judge adds the plugin's name, its end and its last lines to an error that
// says that it is gone. When it returns, the process's end is seen: the next
// look-up does not give this instance.
func (i *instance) judge(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	var e *sdk.Error
	if !errors.As(err, &e) || e.Code != sdk.CodePluginCrashed {
		return err
	}
	if !i.broken(ctx) {
		return err
	}
	out := *e
	select {
	case <-i.proc.exited:
		out.Message = fmt.Sprintf("%s plugin %q crashed: %v", i.stanza.Kind, i.stanza.Label, i.exitError())
	case <-time.After(crashTime):
		select {
		case i.suspect <- struct{}{}:
		default:
		}
		out.Message = fmt.Sprintf("%s plugin %q broke the connection: %s%s", i.stanza.Kind, i.stanza.Label, e.Message, i.lastWords())
	}
	if errors.Is(err, agent.ErrDied) {
		return fmt.Errorf("%w: %w", agent.ErrDied, &out)
	}
	return &out
}

// broken says whether the connection to this plugin is, or gets, broken.
func (i *instance) broken(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), brokenTime)
	defer cancel()
	for {
		state := i.conn.GetState()
		if state != connectivity.Ready || i.proc.ended() {
			return true
		}
		if !i.conn.WaitForStateChange(ctx, state) {
			return i.proc.ended()
		}
	}
}

// inflight counts the calls under way.
type inflight struct {
	mu   sync.Mutex
	n    int
	idle chan struct{}
}

func (f *inflight) begin() {
	f.mu.Lock()
	f.n++
	f.mu.Unlock()
}

func (f *inflight) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n--
	if f.n == 0 && f.idle != nil {
		close(f.idle)
		f.idle = nil
	}
}

// drain waits until no call is under way, and gives how many are when ctx ends.
func (f *inflight) drain(ctx context.Context) int {
	f.mu.Lock()
	if f.n == 0 {
		f.mu.Unlock()
		return 0
	}
	if f.idle == nil {
		f.idle = make(chan struct{})
	}
	idle := f.idle
	f.mu.Unlock()
	select {
	case <-idle:
		return 0
	case <-ctx.Done():
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.n
	}
}
