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
	// exitWait is the maximum time that a call whose connection broke waits for
	// the process to exit.
	exitWait = 500 * time.Millisecond
	// disconnectWait is the maximum time that a call waits for the connection to break or the process to
	// exit. The error may be about another plugin's crash, which this one forwarded.
	disconnectWait = 50 * time.Millisecond
)

// errRetired is the error of a call on a retired plugin. The caller must look it up again.
var errRetired = errors.New("the plugin is retired")

// lookup finds a plugin in a registry.
type lookup func(*registry) (*supervisor, error)

// begin looks a plugin up, waits for its process and counts a call on it. The caller must
// call end on the instance. A plugin is retired only after the registry was swapped.
// Therefore, if an attempt fails and the registry was swapped meanwhile, begin tries again
// on the new one. A reload between look-up and call causes no failure.
func (h *Host) begin(ctx context.Context, find lookup) (*instance, error) {
	for {
		r := h.registry.Load()
		i, err := r.begin(ctx, find)
		switch {
		case err == nil:
			return i, nil
		case h.registry.Load() != r && ctx.Err() == nil:
		case errors.Is(err, errRetired): // retired by Close
			return nil, shuttingDown()
		default:
			return nil, err
		}
	}
}

func (r *registry) begin(ctx context.Context, find lookup) (*instance, error) {
	s, err := find(r)
	if err != nil {
		return nil, err
	}
	i, err := s.waitReady(ctx)
	if err != nil {
		return nil, err
	}
	if !s.calls.begin() {
		return nil, errRetired
	}
	i.active.Add(1)
	return i, nil
}

// check fails if a call would fail because the plugin is missing or not running.
func (h *Host) check(ctx context.Context, find lookup) error {
	i, err := h.begin(ctx, find)
	if err == nil {
		i.end()
	}
	return err
}

func shuttingDown() error {
	return core.Unavailable("The server is shutting down. Try again shortly.")
}

// end records the end of a call. It stops a process that was started for the call.
func (i *instance) end() {
	if i.stopAfterCall != nil {
		i.stopAfterCall()
	}
	if i.proc.hasExited() {
		i.interrupted.Add(1)
	}
	i.active.Add(-1)
	i.calls.end()
}

// callsAtExit returns the number of calls that the process had when it exited. Call it after the exit.
func (i *instance) callsAtExit() int64 { return i.active.Load() + i.interrupted.Load() }

// agentRunner is an agent type. It can be used after a reload: each call uses the current plugin. It adds
// details to the error of a crash.
type agentRunner struct {
	host     *Host
	find     lookup
	isolated isolated
}

// Run implements agent.Runner.
func (r *agentRunner) Run(ctx context.Context, run *agent.Run, handler agent.Handler) (*sdk.Message, error) {
	i, err := r.isolated.begin(ctx, r.host, r.find)
	if err != nil {
		return nil, err
	}
	defer i.end()
	h := &recalling{Handler: handler}
	m, err := i.runner.Run(ctx, run, h)
	return m, i.runError(ctx, err, h)
}

// provider is the provider of a model. It stays valid across reloads: if the provider's block is
// removed, later calls use the provider that then serves the model.
type provider struct {
	host *Host
	// requested is the model's name in the caller's request.
	requested string
	to        route
	isolated  isolated
}

// begin also returns the model's name as the instance knows it.
func (p *provider) begin(ctx context.Context) (*instance, string, error) {
	to := p.to
	i, err := p.isolated.begin(ctx, p.host, func(r *registry) (*supervisor, error) {
		if !to.plugin.calls.isRetired() {
			return to.plugin, nil
		}
		next, err := r.resolve(ctx, modelField, p.requested)
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
	return call(ctx, i, i.timing.Call, i.provider.ListModels)
}

// chat is one attempt of Chat.
func (p *provider) chat(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
	i, model, err := p.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer i.end()
	if err := i.acquireSlot(ctx); err != nil {
		return nil, err
	}
	defer i.releaseSlot()
	if req.Model == p.to.model && model != req.Model {
		renamed := *req
		renamed.Model, req = model, &renamed
	}
	finish, err := i.provider.Chat(ctx, req, out)
	return finish, i.callError(ctx, err)
}

// annotateCrash replaces the text of an error that reports a crash, and returns a *core.PluginCrash if the
// plugin's own process exited. The reason and the plugin's output are in the log and in the plugin's status,
// because they may contain what the caller must not see. When annotateCrash returns, the exit has been recorded,
// so the next look-up does not return this instance.
func (i *instance) annotateCrash(ctx context.Context, err error) error {
	var e *sdk.Error
	if !errors.As(err, &e) {
		return err
	}
	crashed := errors.Is(err, agent.ErrPluginCrashed)
	if !i.disconnected(ctx, disconnectWait) {
		err := i.concealed(ctx, e, "reported that a plugin crashed")
		if crashed {
			err = fmt.Errorf("%w: %w", agent.ErrPluginCrashed, err)
		}
		return err
	}
	out := *e
	exited := false
	switch {
	case i.stopping.Load():
		out.Message = fmt.Sprintf("plugin %s was stopped during the call", i.block.Name())
	case i.proc.waitExit(exitWait):
		exited = true
		out.Message = fmt.Sprintf("plugin %s crashed", i.block.Name())
		i.logger.ErrorContext(ctx, "plugin crashed during a call", "error", i.exitError())
	default:
		i.probeNow()
		out.Message = fmt.Sprintf("plugin %s closed the connection", i.block.Name())
		i.logger.ErrorContext(ctx, "plugin closed the connection during a call", "error", e.Message, "stderr", i.stderrTail())
	}
	crash := error(&out)
	if crashed {
		crash = fmt.Errorf("%w: %w", agent.ErrPluginCrashed, &out)
	}
	if exited {
		return &core.PluginCrash{Err: crash, Alone: i.callsAtExit() == 1}
	}
	return crash
}

// disconnected reports whether the connection to the plugin is broken or its process has exited. It waits up to
// limit for either.
func (i *instance) disconnected(ctx context.Context, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	go func() {
		select {
		case <-i.proc.exited:
			cancel()
		case <-ctx.Done():
		}
	}()
	for {
		state := i.conn.GetState()
		if state != connectivity.Ready || i.proc.hasExited() {
			return true
		}
		if !i.conn.WaitForStateChange(ctx, state) {
			return i.proc.hasExited()
		}
	}
}
