package run_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
	"github.com/agentarea/agentarea/sdk/llm"
)

func equal(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTurn_storesTheAnswer(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.plugins.set(loop(chat), say("Hello", " Ann"))
	s := env.start()
	r := s.mustTurn("s1", "hi")
	equal(t, s.watch(r), "start\ntoken Hello\ntoken  Ann\nend completed 4")
	equal(t, s.wait(r), "Hello Ann")
	equal(t, env.history(), "user: hi\nassistant: Hello Ann")
	got := env.stored(r)
	if got.Status != core.RunCompleted || got.Usage.Total() != 4 || got.Model != "m-1" || got.EndedAt.IsZero() {
		t.Errorf("stored run = %+v, want it completed with 4 tokens of m-1", got)
	}
}

func TestTurn_passesTheHistoryToTheLoop(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.plugins.set(loop(func(_ context.Context, r *agent.Run, _ callFunc) (*sdk.Message, error) {
		var texts []string
		for _, m := range append(r.History, r.Input) {
			texts = append(texts, string(m.Role)+" "+m.Text())
		}
		m := sdk.Text(sdk.RoleAssistant, strings.Join(texts, ", "))
		return &m, nil
	}), nil)
	s := env.start()
	equal(t, s.wait(s.mustTurn("s1", "one")), "user one")
	equal(t, s.wait(s.mustTurn("s1", "two")), "user one, assistant user one, user two")
	equal(t, s.wait(s.mustTurn("s2", "three")), "user three")
}

// A session whose messages exceed the limit keeps working with the newest messages.
func TestTurn_truncatesALargeHistory(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.plugins.set(loop(func(_ context.Context, r *agent.Run, _ callFunc) (*sdk.Message, error) {
		m := sdk.Text(sdk.RoleAssistant, strconv.Itoa(len(r.History)))
		return &m, nil
	}), nil)
	s := env.start()
	large := strings.Repeat("x", 1<<20)
	// The first four messages of 1 MiB fit only without the answers between them.
	for i, want := range []string{"0", "2", "4", "6", "7", "7"} {
		r := s.mustTurn("s1", large)
		equal(t, s.wait(r), want)
		answer, err := env.db.Message(t.Context(), env.stored(r).AnswerID)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(answer.Metadata), `"history_truncated":true`); got != (i >= 4) {
			t.Errorf("turn %d: metadata %s, want history_truncated: %t", i, answer.Metadata, i >= 4)
		}
	}
}

func TestTurn_oneAtATimeInASession(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	release := make(chan struct{})
	env.plugins.set(loop(chat), provider(func(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
		<-release
		return say("ok")(ctx, req, out)
	}))
	s := env.start()
	first := s.mustTurn("s1", "one")
	if _, err := s.turn("s1", "two"); core.CodeOf(err) != core.CodeConflict {
		t.Fatalf("second turn = %v, want %s", err, core.CodeConflict)
	}
	other := s.mustTurn("s2", "elsewhere")
	close(release)
	equal(t, s.wait(first), "ok")
	equal(t, s.wait(other), "ok")
	equal(t, s.wait(s.mustTurn("s1", "three")), "ok")
	equal(t, env.history(), "user: one\nassistant: ok\nuser: three\nassistant: ok")
}

func TestTurn_failureKeepsTheUsersMessage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		provider llm.Provider
		events   string
		err      string
	}{
		"provider unavailable": {
			nil, "start\nerror SERVICE_UNAVAILABLE provider test is down",
			"SERVICE_UNAVAILABLE: provider test is down",
		},
		"key rejected": {
			provider(func(context.Context, *llm.Request, llm.Stream) (*llm.Finish, error) {
				return nil, &sdk.Error{Code: sdk.CodeUnauthorized, Message: "the key was refused", ProviderStatus: 401}
			}), `start
error UPSTREAM_ERROR provider "test": the key was refused`, `UPSTREAM_ERROR: provider "test": the key was refused`,
		},
		"provider crash in the answer": {
			provider(func(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
				if _, err := say("Hel")(ctx, req, out); err != nil {
					return nil, err
				}
				return nil, &sdk.Error{Code: sdk.CodePluginCrashed, Message: "llm test died", Retryable: true}
			}), "start\ntoken Hel\nerror SERVICE_UNAVAILABLE llm test died", "SERVICE_UNAVAILABLE: llm test died",
		},
		"internal error": {
			provider(func(context.Context, *llm.Request, llm.Stream) (*llm.Finish, error) {
				return nil, errors.New("dial tcp 10.1.2.3: secret=hunter2")
			}), "start\nerror UPSTREAM_ERROR Internal error. See the server log for details.",
			"UPSTREAM_ERROR: Internal error. See the server log for details.",
		},
		"answer too long": {
			provider(func(_ context.Context, _ *llm.Request, out llm.Stream) (*llm.Finish, error) {
				for {
					if err := out.Send(llm.Delta{Reasoning: strings.Repeat("x", 1<<20)}); err != nil {
						return nil, err
					}
				}
			}), "start\nerror UPSTREAM_ERROR provider \"test\": the answer exceeds 8 MiB",
			"UPSTREAM_ERROR: provider \"test\": the answer exceeds 8 MiB",
		},
		"tool call without an id": {
			toolCalls(&llm.ToolCallDelta{Name: "add"}),
			"start\nerror UPSTREAM_ERROR provider \"test\": the answer is invalid: the call of tool \"add\" has no id",
			"UPSTREAM_ERROR: provider \"test\": the answer is invalid: the call of tool \"add\" has no id",
		},
		"tool call without a name": {
			toolCalls(&llm.ToolCallDelta{ID: "1"}),
			"start\nerror UPSTREAM_ERROR provider \"test\": the answer is invalid: tool call 0 has no name",
			"UPSTREAM_ERROR: provider \"test\": the answer is invalid: tool call 0 has no name",
		},
		"tool calls with the same id": {
			toolCalls(&llm.ToolCallDelta{ID: "1", Name: "add"}, &llm.ToolCallDelta{Index: 1, ID: "1", Name: "sub"}),
			"start\nerror UPSTREAM_ERROR provider \"test\": the answer is invalid: two tool calls have the id \"1\"",
			"UPSTREAM_ERROR: provider \"test\": the answer is invalid: two tool calls have the id \"1\"",
		},
		"tool call with a negative index": {
			toolCalls(&llm.ToolCallDelta{Index: -1, ID: "1", Name: "add"}),
			"start\nerror UPSTREAM_ERROR provider \"test\": the answer is invalid: a tool call has index -1, but must have one from 0 to 127",
			"UPSTREAM_ERROR: provider \"test\": the answer is invalid: a tool call has index -1, but must have one from 0 to 127",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := newEnv(t)
			env.plugins.set(loop(chat), c.provider)
			s := env.start()
			r := s.mustTurn("s1", "hi")
			equal(t, s.watch(r), c.events)
			equal(t, s.wait(r), c.err)
			equal(t, env.history(), "user: hi")
			got := env.stored(r)
			if got.Status != core.RunFailed || got.Error == nil {
				t.Fatalf("stored run = %+v, want it failed with an error", got)
			}
			_, err := s.Wait(t.Context(), r)
			want := core.RunRef{ID: r.ID, Reason: got.Error.Code, Retryable: got.Error.Retryable}
			if e := new(core.Error); !errors.As(err, &e) || e.Run == nil || *e.Run != want {
				t.Errorf("got error %+v, want run %+v", err, want)
			}
			env.plugins.set(loop(chat), say("better"))
			equal(t, s.wait(s.mustTurn("s1", "again")), "better")
		})
	}
}

func TestTurn_unavailableAgentTypeStoresNothing(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	s := env.start()
	if _, err := s.turn("s1", "hi"); core.CodeOf(err) != core.CodeUnavailable {
		t.Fatalf("turn = %v, want %s", err, core.CodeUnavailable)
	}
	equal(t, env.history(), "")
}

// stall sends one token and then waits until it is cancelled.
func stall(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
	if _, err := say("Hel")(ctx, req, out); err != nil {
		return nil, err
	}
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

func TestCancel_keepsThePartialAnswer(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.plugins.set(loop(chat), provider(stall))
	s := env.start()
	r := s.mustTurn("s1", "hi")
	s.watchUntil(r, "token Hel")
	got, err := s.Cancel(t.Context(), nil, env.actor, r.ID)
	if err != nil || got.Status != core.RunCancelled {
		t.Fatalf("Cancel = %+v, %v, want it cancelled", got, err)
	}
	equal(t, s.watch(r), "start\ntoken Hel\nend cancelled 1")
	equal(t, env.history(), "user: hi\nassistant: Hel")
	if _, err := s.Cancel(t.Context(), nil, env.actor, r.ID); core.CodeOf(err) != core.CodeConflict {
		t.Errorf("second Cancel = %v, want %s", err, core.CodeConflict)
	}
	if _, err := s.Cancel(t.Context(), nil, core.Actor{UserID: "user-other"},
		r.ID); core.CodeOf(err) != core.CodeNotFound {
		t.Errorf("Cancel by another user = %v, want %s", err, core.CodeNotFound)
	}
}

// TestEndedRun_usage checks that a run which did not complete reports its model and the tokens that it has received.
func TestEndedRun_usage(t *testing.T) {
	t.Parallel()
	failing := func(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
		for _, text := range []string{"Hel", "lo"} {
			if err := out.Send(llm.Delta{Text: text}); err != nil {
				return nil, err
			}
		}
		return nil, &sdk.Error{Code: sdk.CodeInternal, Message: "broken"}
	}
	for name, c := range map[string]struct {
		answer func(context.Context, *llm.Request, llm.Stream) (*llm.Finish, error)
		cancel bool
		config string
		status core.RunStatus
		tokens int64
	}{
		"cancelled": {stall, true, `{}`, core.RunCancelled, 1},
		"timed out": {stall, false, `{"timeout_seconds":1}`, core.RunFailed, 1},
		"failed":    {failing, false, `{}`, core.RunFailed, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := newEnv(t)
			env.agent.Config = []byte(c.config)
			env.plugins.set(loop(chat), provider(c.answer))
			s := env.start()
			r := s.mustTurn("s1", "hi")
			s.watchUntil(r, "token Hel")
			if c.cancel {
				if _, err := s.Cancel(t.Context(), nil, env.actor, r.ID); err != nil {
					t.Fatal(err)
				}
			}
			s.watch(r)
			got := env.stored(r)
			if got.Status != c.status || got.Model == "" || got.Usage != (sdk.Usage{OutputTokens: c.tokens}) {
				t.Errorf("the run is %s with model %q and usage %+v, want %s with its model and %d output tokens",
					got.Status, got.Model, got.Usage, c.status, c.tokens)
			}
		})
	}
}

func TestTurn_timeout(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.agent.Config = []byte(`{"timeout_seconds":1}`)
	env.plugins.set(loop(chat), provider(stall))
	s := env.start()
	r := s.mustTurn("s1", "hi")
	equal(t, s.watch(r), "start\ntoken Hel\nerror UPSTREAM_TIMEOUT The run exceeded timeout_seconds (1 s).")
}

func TestWatch_runOfAnotherUserIsNotFound(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.plugins.set(loop(chat), provider(stall))
	s := env.start()
	r := s.mustTurn("s1", "hi")
	if _, err := s.Watch(t.Context(), core.Actor{UserID: "user-other"}, r.ID, 0); core.CodeOf(err) != core.CodeNotFound {
		t.Errorf("Watch = %v, want %s", err, core.CodeNotFound)
	}
}

func TestWait_disconnectingDoesNotEndTheRun(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	release := make(chan struct{})
	env.plugins.set(loop(chat), provider(func(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
		select {
		case <-release:
			return say("done")(ctx, req, out)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}))
	s := env.start()
	r := s.mustTurn("s1", "hi")
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := s.Wait(ctx, r); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Wait = %v, want %v", err, context.DeadlineExceeded)
	}
	close(release)
	equal(t, s.wait(r), "done")
}

func TestComplete_retriesAfterProviderCrash(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	var requests atomic.Int32
	env.plugins.set(loop(chat), provider(func(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
		if requests.Add(1) == 1 {
			return nil, &sdk.Error{Code: sdk.CodePluginCrashed, Message: "llm test died", Retryable: true}
		}
		return say("here")(ctx, req, out)
	}))
	s := env.start()
	r := s.mustTurn("s1", "hi")
	equal(t, s.watch(r), "start\ntoken here\nend completed 3")
}

// toolCalls returns a provider that answers with tool calls.
func toolCalls(calls ...*llm.ToolCallDelta) provider {
	return func(_ context.Context, _ *llm.Request, out llm.Stream) (*llm.Finish, error) {
		for _, call := range calls {
			if err := out.Send(llm.Delta{ToolCall: call}); err != nil {
				return nil, err
			}
		}
		return &llm.Finish{Reason: llm.FinishToolCalls, Model: "m-1"}, nil
	}
}

// A provider's impossible values are stored as values that sums and every database can take.
func TestComplete_clampsTheReportedUsage(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.plugins.set(loop(chat), provider(func(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
		finish, err := say("ok")(ctx, req, out)
		finish.Usage = sdk.Usage{InputTokens: -5, OutputTokens: 1 << 62, CachedInputTokens: -1, ReasoningTokens: 7}
		finish.Model = "m\x00" + strings.Repeat("é", 200)
		return finish, err
	}))
	s := env.start()
	for range 3 {
		equal(t, s.wait(s.mustTurn("s1", "hi")), "ok")
	}
	today := time.Now().UTC().Truncate(24 * time.Hour)
	f := core.UsageFilter{From: today.AddDate(0, 0, -1), To: today.AddDate(0, 0, 1), Page: core.Page{Limit: 1}}
	_, _, sum, err := env.db.Usage(t.Context(), env.actor, f)
	want := sdk.Usage{OutputTokens: 3_000_000_000, ReasoningTokens: 21}
	if err != nil || sum.Usage != want {
		t.Errorf("Usage = %+v, %v, want %+v", sum.Usage, err, want)
	}
}
