package run

import (
	"context"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/events"
	"github.com/agentarea/agentarea/sdk"
)

// ending is how a run ends.
type ending struct {
	status core.RunStatus
	// answer may be there with any status, failure with those that are no success.
	answer  *sdk.Message
	failure *sdk.Error
	// call is the completion that gave the answer; it is recorded with the end.
	call   *core.Call
	finish string
}

// end stores the end of the run and shows it. Only the first end counts; a
// later one fails with errLost.
func (x *execution) end(n ending) error {
	x.mu.Lock()
	if x.ending {
		x.mu.Unlock()
		return errLost
	}
	x.ending = true
	usage := x.usage
	x.mu.Unlock()

	r := *x.run
	r.Status, r.Error = n.status, n.failure
	r.EndedAt = time.Now().UTC().Truncate(time.Microsecond)
	if n.call != nil {
		usage = usage.Add(n.call.Usage)
		r.Model = n.call.Model
	}
	r.Usage = usage
	end := core.RunEnd{Run: &r, Call: n.call}
	metadata := answerMetadata(&r, n.finish)
	if n.answer != nil {
		r.AnswerID = core.NewID("msg")
		end.Answer = &core.Message{
			ID: r.AnswerID, SessionKey: r.SessionKey, SessionID: r.SessionID, AgentID: r.AgentID,
			UserID: r.UserID, RunID: r.ID, Role: sdk.RoleAssistant, Parts: x.files.answer(n.answer.Parts),
			Metadata: metadata, CreatedAt: r.EndedAt,
		}
	}
	if r.TaskID != "" {
		end.Task = taskEnd(&r, end.Answer)
	}
	typ, data := events.TypeEnd, endEvent(&r, metadata)
	var failure *core.Error
	if n.failure != nil {
		failure = shown(n.failure)
		typ, data = events.TypeError, errorEvent(&r, failure)
	}
	err := x.publish(typ, data, func(ctx context.Context, rows []core.EventRow) error {
		end.Events = rows
		return x.engine.Runs.EndRun(ctx, end)
	})
	if err != nil {
		x.log.WarnContext(x.base, "end of the run not stored: it is left to the next server", "error", err)
		close(x.done)
		return errLost
	}
	x.outcome, x.final = string(r.Status), &r
	x.answer = end.Answer
	if end.Answer == nil {
		x.failure = core.Conflict("The run was cancelled")
		if failure != nil {
			x.failure = failure
		}
	}
	close(x.done)
	return nil
}

// lose lets go of a run without ending it: it is somebody else's, or will be.
func (x *execution) lose(err error) {
	x.mu.Lock()
	already := x.ending
	x.ending = true
	x.mu.Unlock()
	if already {
		return
	}
	x.log.InfoContext(x.base, "run left as it stands", "cause", err)
	x.stream.Drop()
	close(x.done)
	x.stop(errLost)
}
