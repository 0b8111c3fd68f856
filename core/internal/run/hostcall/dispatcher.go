package hostcall

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/run/journal"
	"github.com/agentarea/agentarea/core/internal/run/suspect"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

// Journal holds the recorded calls. *journal.Journal implements it.
type Journal interface {
	// Open returns a new record for call, and the call that was recorded under the same
	// number by an earlier attempt, or nil. It fails with CodeNondeterministic when the
	// earlier request is a different one.
	Open(call *agent.Call) (record, earlier *core.Call, err error)
}

// Recorder stores the progress of calls.
type Recorder interface {
	// Record stores call, and publishes event with it unless event is nil. When it
	// returns an error, the run is settled already.
	Record(call *core.Call, event *journal.Event) error
}

// Settler ends the run.
type Settler interface {
	// Settled reports whether the run has ended or was abandoned.
	Settled() bool
	// Answer completes the run with the answer of call, and records call in the same
	// transaction. It fails when the run is settled already.
	Answer(answer *agent.Answer, call *core.Call) error
	// Fail ends the run with err, unless it is settled already.
	Fail(err error)
}

// Output shows text to the watchers of the run.
type Output interface {
	// Forward shows texts in order. It does nothing once the run is settled. It must not
	// retain texts.
	Forward(texts []string)
	// Asking sets the model of the completion that begins now.
	Asking(model string)
}

// Services are the parts of the server that host calls use. All runs share them.
type Services struct {
	Providers Providers
	Metrics   Metrics
	Tracer    trace.Tracer
	// Suspects has the runs that crashed plugins.
	Suspects *suspect.List
	// LeaseExpired reports whether another server may have taken over the runs of this server.
	LeaseExpired func() bool
	// RetryPause is the pause between two tries to read a file again.
	RetryPause time.Duration
}

// Scope holds the parts that belong to one run.
type Scope struct {
	Run      *core.Run
	Journal  Journal
	Recorder Recorder
	Settler  Settler
	Output   Output
	Files    *Files
	Steps    *Steps
	Tools    *FileTools
	Logger   *slog.Logger
}

// Dispatcher handles the host calls of one run. It implements agent.Handler.
type Dispatcher struct {
	journal   Journal
	settler   Settler
	steps     *Steps
	logger    *slog.Logger
	completer completer
	tools     toolCaller
	reader    fileReader
}

// New returns the Dispatcher of the run in scope.
func New(services *Services, scope Scope) *Dispatcher {
	return &Dispatcher{
		journal: scope.Journal, settler: scope.Settler, steps: scope.Steps, logger: scope.Logger,
		completer: completer{
			run: scope.Run, providers: services.Providers, files: scope.Files, output: scope.Output,
			recorder: scope.Recorder, settler: scope.Settler, logger: scope.Logger,
			metrics: services.Metrics, tracer: services.Tracer, suspects: services.Suspects,
		},
		tools: toolCaller{
			run: scope.Run, toolbox: scope.Tools, recorder: scope.Recorder, logger: scope.Logger,
			metrics: services.Metrics, tracer: services.Tracer, leaseExpired: services.LeaseExpired,
		},
		reader: fileReader{
			files: scope.Files, recorder: scope.Recorder, settler: scope.Settler, retryPause: services.RetryPause,
		},
	}
}

// Handle answers a call, from the journal if it is recorded there. Its errors are
// *sdk.Error or context errors.
func (d *Dispatcher) Handle(ctx context.Context, call *agent.Call) (*agent.Result, error) {
	if d.settler.Settled() {
		return nil, &sdk.Error{Code: sdk.CodeCancelled, Message: "The run has ended."}
	}
	record, earlier, err := d.journal.Open(call)
	if err != nil {
		d.settler.Fail(err)
		return nil, err
	}
	if call.Complete != nil {
		d.steps.observe(call.Number, call.Complete.Messages)
	}
	if earlier != nil && earlier.Done {
		if earlier.Kind == core.CallReadFile && earlier.Error == nil {
			return d.reader.readAgain(ctx, call.ReadFile)
		}
		return journal.Replay(earlier)
	}
	result, err := d.perform(ctx, call, record, earlier != nil)
	if err != nil {
		d.logger.DebugContext(ctx, "host call failed", "call", call.Number, "kind", record.Kind, "error", err)
		return nil, journal.Error(err)
	}
	return result, nil
}

// perform handles a call that has no recorded result. interrupted reports whether an
// earlier attempt has started the call.
func (d *Dispatcher) perform(
	ctx context.Context, call *agent.Call, record *core.Call, interrupted bool,
) (*agent.Result, error) {
	switch record.Kind {
	case core.CallComplete:
		return d.completer.complete(ctx, call.Complete, record)
	case core.CallTool:
		return d.tools.call(ctx, call.CallTool, record, interrupted)
	case core.CallListTools:
		return d.tools.list(ctx, record)
	case core.CallReadFile:
		return d.reader.read(ctx, call.ReadFile, record)
	}
	return nil, fmt.Errorf("unknown kind of host call %q", record.Kind)
}

// event returns the event of a record.
func event(typ string, data json.RawMessage) *journal.Event {
	return &journal.Event{Type: typ, Data: data}
}
