package run

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/events"
	"github.com/agentarea/agentarea/sdk"
)

// StartTurn implements core.Runner.
func (e *Engine) StartTurn(ctx context.Context, audit *core.AuditRecord, v core.Actor, t core.Turn) (*core.Run, error) {
	// Checked first, so that a turn of an unavailable agent type is refused and not stored.
	if _, err := e.opts.Plugins.Agent(ctx, t.Agent.Type); err != nil {
		return nil, err
	}
	if !e.active.admit() {
		return nil, core.Unavailable("The server is stopping. Try again in a few seconds.")
	}
	defer e.active.release()
	from := origin{ctx: ctx, agentName: t.Agent.Name, at: time.Now()}
	r, input := newTurn(v, t)
	r.Owner = e.opts.Owner
	audit.SetObject(r.ID)
	stream := e.opts.Log.Open(r.ID)
	err := stream.Publish(ctx, events.TypeStart, startEvent(r), func(rows []core.EventRow) error {
		return e.opts.Runs.StartRun(ctx, audit, core.RunStart{Run: r, Input: input, Events: rows})
	})
	if err != nil {
		return nil, err
	}
	x := e.add(from, state{run: r, input: input, stream: stream})
	snapshot := *r
	e.active.start(func() {
		defer e.remove(x)
		x.execute()
		<-x.settler.done
	})
	return &snapshot, nil
}

// newTurn returns the run and the user's message of a turn.
func newTurn(v core.Actor, t core.Turn) (*core.Run, *core.Message) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	if t.SessionID == "" {
		t.SessionID = core.NewID("session")
	}
	r := &core.Run{
		ID: core.NewID("run"), Kind: core.RunChat, AgentID: t.Agent.ID, UserID: v.UserID,
		SessionID: t.SessionID, AgentType: t.Agent.Type, Config: t.Agent.Config,
		AgentOwner: t.Agent.CreatedBy, MCPServers: t.Agent.MCPServers,
		InputID: core.NewID("msg"), Status: core.RunRunning, Stream: t.Stream,
		// The seed lets a loop choose differently in each run. It has 63 bits, because some
		// databases have no unsigned integers.
		Seed:    rand.Uint64() >> 1, //nolint:gosec // the seed is not a secret
		Attempt: 1, CreatedAt: now,
	}
	metadata, _ := json.Marshal(map[string]string{"run_id": r.ID})
	return r, &core.Message{
		ID: r.InputID, SessionID: r.SessionID, AgentID: r.AgentID, UserID: r.UserID, RunID: r.ID,
		Role: sdk.RoleUser, Parts: t.Parts, Metadata: metadata, CreatedAt: now,
	}
}

// Wait implements core.Runner.
func (e *Engine) Wait(ctx context.Context, r *core.Run) (*core.Message, error) {
	if x := e.active.find(r.ID); x != nil {
		select {
		case <-x.settler.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if x.settler.answer != nil || x.settler.failure != nil {
			return x.settler.answer, x.settler.failure
		}
	}
	return e.waitStored(ctx, r)
}

// waitStored waits for the end of a run that another server executes.
func (e *Engine) waitStored(ctx context.Context, r *core.Run) (*core.Message, error) {
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	for {
		stored, err := e.opts.Runs.Run(ctx, core.Actor{UserID: r.UserID}, r.ID)
		switch {
		case err != nil:
			return nil, err
		case stored.AnswerID != "":
			return e.opts.Messages.Message(ctx, stored.AnswerID)
		case stored.Status.Ended():
			return nil, endError(stored)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-e.ctx.Done():
			return nil, core.Unavailable("The server is stopping. Run %q continues: see GET /v1/runs/%s.", r.ID, r.ID).
				WithRun(core.RunRef{ID: r.ID})
		}
	}
}

// Watch implements core.Runner.
func (e *Engine) Watch(ctx context.Context, v core.Actor, runID string, after int64) (core.EventStream, error) {
	if x := e.active.find(runID); x == nil || x.run.UserID != v.UserID {
		if _, err := e.opts.Runs.Run(ctx, v, runID); err != nil {
			return nil, err
		}
	}
	ended := func(ctx context.Context) (bool, error) {
		r, err := e.opts.Runs.Run(ctx, v, runID)
		if err != nil {
			return false, err
		}
		return r.Status.Ended(), nil
	}
	return e.opts.Log.Watch(runID, v.UserID, after, ended), nil
}

// Cancel implements core.Runner.
func (e *Engine) Cancel(ctx context.Context, audit *core.AuditRecord, v core.Actor, runID string) (*core.Run, error) {
	r, err := e.opts.Runs.RequestCancel(ctx, audit, v, runID)
	if err != nil {
		return nil, err
	}
	if r.Status.Ended() {
		return nil, core.Conflict("Run %q has already ended with status %s.", r.ID, r.Status).
			WithObject("run", r.ID).WithRun(core.RunRef{ID: r.ID})
	}
	if err := e.active.cancelAndWait(ctx, runID); err != nil {
		return nil, err
	}
	return e.opts.Runs.Run(ctx, v, runID)
}
