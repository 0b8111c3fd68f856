package run

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/events"
	"github.com/agentarea/agentarea/core/internal/run/hostcall"
	"github.com/agentarea/agentarea/core/internal/run/journal"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

// The outcomes of a run that has not ended on this server.
const (
	outcomeAbandoned = "left"
	outcomeDeferred  = "deferred"
)

// taskDeferrer lets a task wait for another attempt. core.TaskStore implements it.
type taskDeferrer interface {
	DeferTask(ctx context.Context, run *core.Run, at time.Time, failure *sdk.Error) error
}

// settler settles one run exactly once: it ends the run, defers its task to another
// attempt, or abandons the run to another server. Its methods may be called concurrently;
// only the first caller has an effect.
type settler struct {
	run     *core.Run
	task    *core.Task // nil for a chat turn
	journal *journal.Journal
	output  *output
	files   *hostcall.Files
	steps   *hostcall.Steps
	tasks   taskDeferrer
	backoff backoff
	logger  *slog.Logger

	// base ends when the engine leaves its runs to other servers.
	base context.Context
	// ctx ends when the run is settled, cancelled or times out, or when base ends. Its
	// cause distinguishes these.
	ctx  context.Context
	stop context.CancelCauseFunc
	// historyTruncated reports whether the run received only the newest messages of its session.
	historyTruncated atomic.Bool
	// attempt is held while the next attempt of the run is recorded, which changes run, and while end reads
	// run. The end of the context may settle the run at that time.
	attempt sync.Mutex

	// done is closed when the run is settled. The fields below do not change afterwards.
	done chan struct{}
	// answer or failure is the result of the run. Both are nil if the run was abandoned
	// or deferred.
	answer  *core.Message
	failure error
	// outcome is a status of a run, or one of the outcomes above.
	outcome string
	// final is the ended run as it is stored, or nil.
	final *core.Run
}

// Settled implements hostcall.Settler.
func (s *settler) Settled() bool { return s.output.isSettled() }

// Record implements hostcall.Recorder. A write that fails settles the run.
func (s *settler) Record(call *core.Call, event *journal.Event) error {
	err := s.journal.Record(call, event)
	if err == nil {
		if call.Done {
			s.output.resetPartial(call.Error == nil)
		}
		return nil
	}
	if core.CodeOf(err) == core.CodeConflict || errors.Is(err, errStopping) {
		s.abandon(err)
	} else {
		s.Fail(err)
	}
	return errSettled
}

// Answer implements hostcall.Settler.
func (s *settler) Answer(answer *agent.Answer, call *core.Call) error {
	return s.end(ending{
		status: core.RunCompleted, answer: &answer.Message, call: call, finishReason: answer.FinishReason,
	})
}

// Fail implements hostcall.Settler. If the run's context has ended, the cause of that
// decides how the run ends. A task that may succeed later is deferred instead.
func (s *settler) Fail(err error) {
	if s.ctx.Err() != nil {
		s.onContextDone()
		return
	}
	s.logger.WarnContext(s.base, "run failed", "error", err)
	failure := journal.Error(err)
	if s.canDefer(failure) {
		s.deferTask(failure)
		return
	}
	s.finish(core.RunFailed, nil, failure)
}

// onContextDone ends the run according to the cause of its context's cancellation.
func (s *settler) onContextDone() {
	cause := context.Cause(s.ctx)
	var timeout timeoutError
	switch {
	case errors.Is(cause, errCancelled):
		s.finish(core.RunCancelled, s.partialAnswer(), nil)
	case errors.As(cause, &timeout):
		s.finish(core.RunFailed, nil, journal.Error(timeout))
	case errors.Is(cause, errStopping):
		s.abandon(cause)
	}
}

// partialAnswer returns the text shown before the run was cancelled, or nil if there is
// none.
func (s *settler) partialAnswer() *sdk.Message {
	text := s.output.partialText()
	if text == "" {
		return nil
	}
	m := sdk.Text(sdk.RoleAssistant, text)
	return &m
}

// finish ends the run. It does nothing if the run is settled.
func (s *settler) finish(status core.RunStatus, answer *sdk.Message, failure *sdk.Error) {
	_ = s.end(ending{status: status, answer: answer, failure: failure})
}

// ending describes how a run ends.
type ending struct {
	status core.RunStatus
	// answer is optional with every status. failure is nil if the run completed.
	answer  *sdk.Message
	failure *sdk.Error
	// call is the completion that produced the answer, or nil. It is recorded together
	// with the end.
	call         *core.Call
	finishReason string
}

// end stores the end of the run and publishes it. It fails with errSettled if the run is
// settled or the end cannot be stored.
func (s *settler) end(n ending) error {
	// An earlier attempt may have shown the text already.
	if n.status == core.RunCompleted && n.answer != nil && s.run.Attempt == 1 {
		s.output.show(n.answer.Text())
	}
	if !s.output.settle() {
		return errSettled
	}
	defer close(s.done)
	r := s.snapshot()
	r.Status, r.Error = n.status, n.failure
	r.EndedAt = time.Now().UTC().Truncate(time.Microsecond)
	r.Model, r.Usage = s.spent(n)
	end := core.RunEnd{Run: &r, Call: n.call}
	metadata := answerMetadata(&r, n.finishReason, s.historyTruncated.Load())
	if n.answer != nil {
		r.AnswerID = core.NewID("msg")
		end.Answer = &core.Message{
			ID: r.AnswerID, SessionKey: r.SessionKey, SessionID: r.SessionID, AgentID: r.AgentID,
			UserID: r.UserID, RunID: r.ID, Role: sdk.RoleAssistant, Parts: s.files.AnswerParts(n.answer.Parts),
			Steps: s.steps.Messages(), Metadata: metadata, CreatedAt: r.EndedAt,
		}
	}
	if r.TaskID != "" {
		end.Task = taskEnd(&r, end.Answer)
	}
	event := journal.Event{Type: events.TypeEnd, Data: endEvent(&r, metadata)}
	var failure *core.Error
	if n.failure != nil {
		failure = apiError(r.ID, n.failure)
		event = journal.Event{Type: events.TypeError, Data: errorEvent(&r, failure)}
	}
	if err := s.journal.End(end, event); err != nil {
		s.logger.WarnContext(s.base, "cannot store end of run, leaving it to another server", "error", err)
		return errSettled
	}
	s.outcome, s.final, s.answer = string(r.Status), &r, end.Answer
	switch {
	case end.Answer != nil:
	case failure != nil:
		s.failure = failure
	default:
		s.failure = core.Conflict("Run %q was cancelled.", r.ID).WithRun(core.RunRef{ID: r.ID})
	}
	return nil
}

// spent returns the model and the usage of a run that ends. Providers report the usage at the end of a completion, so
// each chunk of a completion that was cut counts as one output token.
func (s *settler) spent(n ending) (model string, usage sdk.Usage) {
	model, usage = s.journal.Spent()
	if n.call != nil {
		return n.call.Model, usage.Add(n.call.Usage)
	}
	asked, chunks := s.output.unrecorded()
	if n.status != core.RunCompleted {
		usage.OutputTokens += chunks
	}
	return cmp.Or(model, asked), usage
}

// restart records the next attempt of the run.
func (s *settler) restart() error {
	s.attempt.Lock()
	defer s.attempt.Unlock()
	s.output.resetPartial(false)
	return s.journal.Restart()
}

// snapshot returns a copy of the run, after the attempt that is being recorded.
func (s *settler) snapshot() core.Run {
	s.attempt.Lock()
	defer s.attempt.Unlock()
	return *s.run
}

// abandon settles the run without ending it, because another server owns it or will own
// it.
func (s *settler) abandon(cause error) {
	if !s.output.settle() {
		return
	}
	s.logger.InfoContext(s.base, "abandoning run", "cause", cause)
	s.leave()
}

// canDefer reports whether the run belongs to a task that has another attempt left, and
// whether that attempt may succeed.
func (s *settler) canDefer(failure *sdk.Error) bool {
	return s.task != nil && failure.Retryable &&
		s.task.Attempts < s.task.MaxAttempts && s.run.Attempt < maxAttempts(s.task)
}

// deferTask settles the run without ending it and lets its task wait for another attempt.
func (s *settler) deferTask(failure *sdk.Error) {
	if !s.output.settle() {
		return
	}
	pause := s.backoff.after(s.task.Attempts, failure.RetryAfter)
	s.logger.InfoContext(s.base, "deferring task", "attempts", s.task.Attempts, "pause", pause)
	err := s.journal.Persist(func(ctx context.Context) error {
		return s.tasks.DeferTask(ctx, s.run, time.Now().UTC().Add(pause), failure)
	})
	if err != nil {
		s.logger.WarnContext(s.base, "cannot defer task, leaving it to another server", "error", err)
	}
	s.outcome = outcomeDeferred
	s.leave()
}

// leave stops executing a run that another server or a later attempt continues.
func (s *settler) leave() {
	s.output.stream.Drop()
	close(s.done)
	s.stop(errSettled)
}
