package journal

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/events"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

// Store stores the journal. core.RunStore implements it.
type Store interface {
	// RecordCall stores a call that starts or is done, with the events that belong to
	// it. It fails with Conflict when the run has ended or has another owner or attempt.
	RecordCall(ctx context.Context, run *core.Run, c *core.Call, events []core.EventRow) error
	// RetryRun increments the attempt of run, in the store and in run itself, and stores
	// the events with it. It fails with Conflict as RecordCall does.
	RetryRun(ctx context.Context, run *core.Run, events []core.EventRow) error
	// EndRun ends a run. It fails with Conflict as RecordCall does.
	EndRun(ctx context.Context, end core.RunEnd) error
}

// Stream is the event stream of a run. *events.Stream implements it.
type Stream interface {
	// Publish stores an event with store and then shows it to the watchers.
	Publish(ctx context.Context, typ string, data json.RawMessage, store func([]core.EventRow) error) error
	// Partial returns the number of the last event that is not a token, and reports
	// whether tokens follow it.
	Partial() (after int64, partial bool)
	// Appended reports whether rows may be stored that Publish did not pass to its caller.
	Appended() bool
}

// Event is an event that is stored together with a write of the journal.
type Event struct {
	Type string
	Data json.RawMessage
}

// Options are the dependencies of a Journal.
type Options struct {
	// Context bounds all writes.
	Context context.Context
	Retry   Retry
	Run     *core.Run
	Store   Store
	Stream  Stream
	// Recorded are the calls that the store already has.
	Recorded []*core.Call
}

// Journal holds the recorded calls of one run. Its methods may be called concurrently.
//
// Writes are retried until the database is available. They do not end with the context of the
// run, only with that of the Options.
type Journal struct {
	ctx    context.Context
	retry  Retry
	run    *core.Run
	store  Store
	stream Stream

	mu       sync.Mutex
	recorded map[uint64]*core.Call
	usage    sdk.Usage
	// model is the model of the newest completion.
	model string
	// wrote reports whether anything was written between the start and the end of the run.
	wrote bool
}

// New returns the journal of a run.
func New(o Options) *Journal {
	j := &Journal{
		ctx: o.Context, retry: o.Retry, run: o.Run, store: o.Store, stream: o.Stream,
		recorded: make(map[uint64]*core.Call, len(o.Recorded)), wrote: len(o.Recorded) > 0 || o.Run.Attempt > 1,
	}
	for _, c := range o.Recorded {
		j.recorded[c.Number] = c
		j.usage = j.usage.Add(c.Usage)
		j.model = cmp.Or(c.Model, j.model)
	}
	return j
}

// Open returns a new record for call, and the call that was recorded under the same
// number by an earlier attempt, or nil. It fails with CodeNondeterministic when the
// earlier request is a different one.
func (j *Journal) Open(call *agent.Call) (record, earlier *core.Call, err error) {
	record = &core.Call{
		RunID: j.run.ID, Number: call.Number, Kind: kindOf(call), RequestHash: Hash(call), StartedAt: now(),
	}
	j.mu.Lock()
	earlier = j.recorded[call.Number]
	j.mu.Unlock()
	if earlier != nil && !bytes.Equal(earlier.RequestHash, record.RequestHash) {
		return nil, nil, &sdk.Error{Code: sdk.CodeNondeterministic, Message: fmt.Sprintf(
			"Host call %d differs from the recorded call (%s). Agent type %q must make the same calls "+
				"when a run is replayed after an interruption.", call.Number, earlier.Kind, j.run.AgentType)}
	}
	return record, earlier, nil
}

func kindOf(call *agent.Call) core.CallKind {
	switch {
	case call.Complete != nil:
		return core.CallComplete
	case call.CallTool != nil:
		return core.CallTool
	case call.ReadFile != nil:
		return core.CallReadFile
	default:
		return core.CallListTools
	}
}

// Record stores call, and publishes event with it in one transaction unless event is
// nil. The journal keeps a copy, so the caller may change call afterwards.
func (j *Journal) Record(call *core.Call, event *Event) error {
	stored := *call
	j.setWrote()
	err := j.write(event, func(ctx context.Context, rows []core.EventRow) error {
		return j.store.RecordCall(ctx, j.run, &stored, rows)
	})
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.recorded[call.Number] = &stored
	if call.Done {
		j.usage = j.usage.Add(call.Usage)
		j.model = cmp.Or(call.Model, j.model)
	}
	return nil
}

// Restart records the next attempt of the run. If watchers have received tokens that
// are now void, it publishes a restart event.
func (j *Journal) Restart() error {
	var event *Event
	j.setWrote()
	if after, partial := j.stream.Partial(); partial {
		event = &Event{Type: events.TypeRestart, Data: restartEvent(j.run.Attempt+1, after)}
	}
	return j.write(event, func(ctx context.Context, rows []core.EventRow) error {
		return j.store.RetryRun(ctx, j.run, rows)
	})
}

func restartEvent(attempt int, after int64) json.RawMessage {
	return Marshal(struct {
		Type    string `json:"type"`
		Attempt int    `json:"attempt"`
		// DropAfter is the id of the last valid event. The tokens after it are sent again.
		DropAfter int64 `json:"drop_after"`
	}{events.TypeRestart, attempt, after})
}

// setWrote marks that the run has calls or events that are stored before its end.
func (j *Journal) setWrote() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.wrote = true
}

// End stores the end of the run, and publishes event with it in one transaction.
func (j *Journal) End(end core.RunEnd, event Event) error {
	j.mu.Lock()
	wrote := j.wrote
	j.mu.Unlock()
	return j.write(&event, func(ctx context.Context, rows []core.EventRow) error {
		end.Events, end.Complete = rows, !wrote && !j.stream.Appended()
		return j.store.EndRun(ctx, end)
	})
}

// write calls store until the database is available, and publishes event with it
// unless event is nil.
func (j *Journal) write(event *Event, store func(context.Context, []core.EventRow) error) error {
	if event == nil {
		return j.Persist(func(ctx context.Context) error { return store(ctx, nil) })
	}
	return j.stream.Publish(j.ctx, event.Type, event.Data, func(rows []core.EventRow) error {
		return j.Persist(func(ctx context.Context) error { return store(ctx, rows) })
	})
}

// Persist calls do until the database is available.
func (j *Journal) Persist(do func(context.Context) error) error { return j.retry.Do(j.ctx, do) }

// Spent returns the model of the newest recorded completion, and the sum of the usage of all recorded calls.
func (j *Journal) Spent() (model string, usage sdk.Usage) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.model, j.usage
}

// now is the current time with the precision of the store.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
