package journal

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

// fakeStore is a Store whose writes return errs in order, and nil afterwards.
type fakeStore struct {
	Store
	errs   []error
	writes int
}

func (s *fakeStore) RecordCall(context.Context, *core.Run, *core.Call, []core.EventRow) error {
	s.writes++
	if len(s.errs) == 0 {
		return nil
	}
	err := s.errs[0]
	s.errs = s.errs[1:]
	return err
}

func newJournal(t *testing.T, store Store, recorded ...*core.Call) *Journal {
	t.Helper()
	return New(Options{
		Context: t.Context(), Retry: Retry{Logger: slog.New(slog.DiscardHandler), Pause: time.Millisecond},
		Run: &core.Run{ID: "run-1", AgentType: "chat"}, Store: store, Recorded: recorded,
	})
}

func TestJournal_replaysARecordedCall(t *testing.T) {
	t.Parallel()
	request := &agent.Call{Number: 1, ListTools: true}
	first := newJournal(t, &fakeStore{})
	record, earlier, err := first.Open(request)
	if err != nil || earlier != nil {
		t.Fatalf("first Open = %v, %v, want no earlier call", earlier, err)
	}
	record.Usage = sdk.Usage{OutputTokens: 3}
	if !Finish(t.Context(), record, &agent.Result{Tools: []sdk.Tool{{Name: "t"}}}, nil) {
		t.Fatal("Finish = false, want true")
	}
	if err := first.Record(record, nil); err != nil {
		t.Fatal(err)
	}

	second := newJournal(t, &fakeStore{}, record)
	_, earlier, err = second.Open(request)
	if err != nil || earlier == nil {
		t.Fatalf("Open in the next attempt = %v, %v, want the recorded call", earlier, err)
	}
	result, err := Replay(earlier)
	if err != nil || len(result.Tools) != 1 || result.Tools[0].Name != "t" {
		t.Errorf("Replay = %+v, %v, want the tool t", result, err)
	}
	model, usage := first.Spent()
	if again, restored := second.Spent(); again != model || restored != usage || usage.OutputTokens != 3 {
		t.Errorf("Spent() = %q, %+v and %q, %+v, want 3 output tokens", model, usage, again, restored)
	}
}

func TestOpen_failsWhenTheRequestDiffers(t *testing.T) {
	t.Parallel()
	recorded := &core.Call{Number: 1, Kind: core.CallListTools, RequestHash: Hash(&agent.Call{ListTools: true})}
	j := newJournal(t, &fakeStore{}, recorded)
	_, _, err := j.Open(&agent.Call{Number: 1, CallTool: &sdk.ToolCall{Name: "t"}})
	if sdk.AsError(err).Code != sdk.CodeNondeterministic {
		t.Errorf("Open = %v, want %s", err, sdk.CodeNondeterministic)
	}
}

func TestRecord_retriesWhileTheDatabaseIsUnavailable(t *testing.T) {
	t.Parallel()
	away := core.Unavailable("database")
	for name, c := range map[string]struct {
		errs   []error
		want   core.Code
		writes int
	}{
		"available":   {nil, "", 1},
		"back later":  {[]error{away, away}, "", 3},
		"fenced":      {[]error{core.Conflict("fenced")}, core.CodeConflict, 1},
		"fenced late": {[]error{away, core.Conflict("fenced")}, core.CodeConflict, 2},
	} {
		store := &fakeStore{errs: c.errs}
		err := newJournal(t, store).Record(&core.Call{Number: 1}, nil)
		if err != nil && core.CodeOf(err) != c.want || err == nil && c.want != "" || store.writes != c.writes {
			t.Errorf("%s: Record = %v after %d writes, want code %q after %d", name, err, store.writes, c.want, c.writes)
		}
	}
}

func TestFinish_ignoresAnInterruptedCall(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	call := &core.Call{}
	if Finish(ctx, call, nil, ctx.Err()) || call.Done {
		t.Errorf("Finish of an interrupted call set %+v, want no change", call)
	}
	if !Finish(ctx, call, json.RawMessage(`{}`), nil) || !call.Done {
		t.Errorf("Finish of a successful call set %+v, want it done", call)
	}
}

func TestError_hidesPrivateErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		code sdk.ErrorCode
		text string
	}{
		"private": {errors.New("secret"), sdk.CodeInternal, "Internal error. See the server log for details."},
		"core error with a private cause": {
			&core.Error{
				Code: core.CodeUnavailable, Message: "public", Err: &sdk.Error{Code: sdk.CodeNotFound, Message: "secret"},
			},
			sdk.CodeUnavailable, "public",
		},
		"field":     {core.Invalid("model", "Must be a string"), sdk.CodeInvalidRequest, "model: Must be a string"},
		"cancelled": {context.Canceled, sdk.CodeCancelled, "The run was cancelled."},
	} {
		if got := Error(c.err); got.Code != c.code || got.Message != c.text {
			t.Errorf("%s: Error(%v) = %v, want %s: %s", name, c.err, got, c.code, c.text)
		}
	}
}
