package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/events"
	"github.com/agentarea/agentarea/sdk"
)

// StartTurn implements core.Runner.
func (e *Engine) StartTurn(ctx context.Context, v core.Actor, t core.Turn) (*core.Run, error) {
	// Asked now, so that a type that is down is refused and not stored.
	if _, err := e.Plugins.Agent(ctx, t.Agent.Type); err != nil {
		return nil, err
	}
	if !e.admit() {
		return nil, core.Unavailable("The server is stopping: try again in a few seconds")
	}
	defer e.running.Done()
	from := origin{ctx: ctx, agentName: t.Agent.Name, at: time.Now()}
	r, input := newTurn(v, t)
	r.Owner = e.Owner
	stream := e.Log.Open(r.ID)
	err := stream.Publish(ctx, events.TypeStart, startEvent(r), func(rows []core.EventRow) error {
		return e.Runs.StartRun(ctx, core.RunStart{Run: r, Input: input, Events: rows})
	})
	if err != nil {
		return nil, err
	}
	x := e.execution(from, r, input, stream)
	snapshot := *r
	e.running.Go(func() {
		defer e.retire(x)
		x.execute()
		<-x.done
	})
	return &snapshot, nil
}

func newTurn(v core.Actor, t core.Turn) (*core.Run, *core.Message) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	if t.SessionID == "" {
		t.SessionID = core.NewID("session")
	}
	r := &core.Run{
		ID: core.NewID("run"), Kind: core.RunChat, AgentID: t.Agent.ID, UserID: v.UserID,
		SessionID: t.SessionID, AgentType: t.Agent.Type, Config: t.Agent.Config,
		InputID: core.NewID("msg"), Status: core.RunRunning, Stream: t.Stream,
		// Not a secret: it makes a loop's choices vary from run to run.
		Seed:    rand.Uint64() >> 1, //nolint:gosec // see above; a bit less, for databases without unsigned numbers
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
	if x := e.find(r.ID); x != nil {
		select {
		case <-x.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if x.answer != nil || x.failure != nil {
			return x.answer, x.failure
		}
	}
	return e.waitStored(ctx, r)
}

// waitStored waits for the end of a run that another server executes by now.
func (e *Engine) waitStored(ctx context.Context, r *core.Run) (*core.Message, error) {
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	for {
		stored, err := e.Runs.Run(ctx, core.Actor{UserID: r.UserID}, r.ID)
		switch {
		case err != nil:
			return nil, err
		case stored.AnswerID != "":
			return e.Messages.Message(ctx, stored.AnswerID)
		case stored.Status.Ended():
			return nil, outcome(stored)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-e.ctx.Done():
			return nil, core.Unavailable("The server is stopping; the run goes on: see GET /v1/runs/%s", r.ID)
		}
	}
}

// Watch implements core.Runner.
func (e *Engine) Watch(ctx context.Context, v core.Actor, runID string, after int64) (core.EventStream, error) {
	if x := e.find(runID); x == nil || x.run.UserID != v.UserID {
		if _, err := e.Runs.Run(ctx, v, runID); err != nil {
			return nil, err
		}
	}
	over := func(ctx context.Context) (bool, error) {
		r, err := e.Runs.Run(ctx, v, runID)
		if err != nil {
			return false, err
		}
		return r.Status.Ended(), nil
	}
	return e.Log.Watch(runID, after, over), nil
}

// Cancel implements core.Runner.
func (e *Engine) Cancel(ctx context.Context, v core.Actor, runID string) (*core.Run, error) {
	r, err := e.Runs.RequestCancel(ctx, v, runID)
	if err != nil {
		return nil, err
	}
	if r.Status.Ended() {
		return nil, core.Conflict("The run has ended already: it is %s", r.Status)
	}
	if x := e.find(runID); x != nil {
		x.stop(errCancelled)
		select {
		case <-x.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return e.Runs.Run(ctx, v, runID)
}

var errCancelled = errors.New("cancelled")

// errLost means that another server, or a later attempt, owns the run by now.
var errLost = errors.New("the run belongs to somebody else by now")

type timeoutError struct{ after time.Duration }

func (e timeoutError) Error() string { return fmt.Sprintf("the run took more than %s", e.after) }
