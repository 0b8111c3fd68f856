package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/connectivity"

	"github.com/agentarea/agentarea/core"
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

// errRetired says that a plugin takes no calls any more: look it up again.
var errRetired = errors.New("the plugin is retired")

// find looks a plugin up.
type find func(*registry) (*supervisor, error)

// begin looks a plugin up, waits for its process, and counts a call on it, whose
// end the caller tells by the instance's end. A plugin is retired only after the
// registry was swapped; so whatever fails on one that was swapped meanwhile is
// tried again on the next, and no reload comes between a look-up and its call.
func (h *Host) begin(ctx context.Context, look find) (*instance, error) {
	for {
		r := h.registry.Load()
		i, err := r.begin(ctx, look)
		switch {
		case err == nil:
			return i, nil
		case h.registry.Load() != r && ctx.Err() == nil:
		case errors.Is(err, errRetired): // by Close
			return nil, shuttingDown()
		default:
			return nil, err
		}
	}
}

func (r *registry) begin(ctx context.Context, look find) (*instance, error) {
	s, err := look(r)
	if err != nil {
		return nil, err
	}
	i, err := s.ready(ctx)
	if err != nil {
		return nil, err
	}
	if !s.calls.begin() {
		return nil, errRetired
	}
	return i, nil
}

// check fails when a call would, for that the plugin is not there or not up.
func (h *Host) check(ctx context.Context, look find) error {
	i, err := h.begin(ctx, look)
	if err == nil {
		i.end()
	}
	return err
}

func shuttingDown() error {
	return core.Unavailable("The server is shutting down: try again soon")
}

// end tells of the end of a call.
func (i *instance) end() { i.calls.end() }

// runs is an agent type that outlives reloads, and tells of a crash what can be
// told.
type runs struct {
	host *Host
	look find
}

// Run implements agent.Runner.
func (r *runs) Run(ctx context.Context, run *agent.Run, handler agent.Handler) (*sdk.Message, error) {
	i, err := r.host.begin(ctx, r.look)
	if err != nil {
		return nil, err
	}
	defer i.end()
	m, err := i.runner.Run(ctx, run, handler)
	return m, i.judge(ctx, err)
}

// provider is the provider of a model. It outlives reloads: when its stanza is
// gone, it is whichever serves the model then.
type provider struct {
	host *Host
	// asked is the model as the caller named it.
	asked string
	to    route
}

// begin gives the model's name as the instance knows it, too.
func (p *provider) begin(ctx context.Context) (*instance, string, error) {
	to := p.to
	i, err := p.host.begin(ctx, func(r *registry) (*supervisor, error) {
		if !to.plugin.calls.isRetired() {
			return to.plugin, nil
		}
		next, err := r.resolve(ctx, modelField, p.asked)
		if err != nil {
			return nil, err
		}
		to = next
		return to.plugin, nil
	})
	return i, to.model, err
}

// ListModels implements llm.Provider.
func (p *provider) ListModels(ctx context.Context) ([]llm.Model, error) {
	i, _, err := p.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer i.end()
	models, err := i.provider.ListModels(ctx)
	return models, i.judge(ctx, err)
}

// chat is one try of Chat.
func (p *provider) chat(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
	i, model, err := p.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer i.end()
	if err := i.room(ctx); err != nil {
		return nil, err
	}
	defer i.leave()
	if req.Model == p.to.model && model != req.Model {
		renamed := *req
		renamed.Model, req = model, &renamed
	}
	finish, err := i.provider.Chat(ctx, req, out)
	return finish, i.judge(ctx, err)
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
	switch {
	case i.stopping.Load():
		out.Message = fmt.Sprintf("%s plugin %q was stopped before the call had ended", i.stanza.Kind, i.stanza.Label)
	case i.proc.endsWithin(crashTime):
		out.Message = fmt.Sprintf("%s plugin %q crashed: %v", i.stanza.Kind, i.stanza.Label, i.exitError())
	default:
		select {
		case i.suspect <- struct{}{}:
		default:
		}
		out.Message = fmt.Sprintf("%s plugin %q broke the connection: %s%s", i.stanza.Kind, i.stanza.Label, e.Message, i.lastWords())
	}
	if errors.Is(err, agent.ErrPluginCrashed) {
		return fmt.Errorf("%w: %w", agent.ErrPluginCrashed, &out)
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
