package llm_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/internal/leaktest"
	"github.com/agentarea/agentarea/sdk/internal/loopback"
	"github.com/agentarea/agentarea/sdk/llm"
	"github.com/agentarea/agentarea/sdk/plugin"
	llmv1 "github.com/agentarea/agentarea/sdk/proto/llm/v1"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// script is a provider whose Chat calls the function.
type script func(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error)

func (script) ListModels(context.Context) ([]llm.Model, error) {
	return []llm.Model{{
		ID: "m", DisplayName: "M", ContextWindow: 1 << 20, MaxOutputTokens: 4096,
		Capabilities: []string{"tools"},
	}}, nil
}

func (s script) Chat(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
	return s(ctx, req, out)
}

func reach(t *testing.T, p llm.Provider) llm.Provider {
	t.Helper()
	return llm.NewClient(loopback.Connect(t, func(s *grpc.Server) { llm.Register(s, p) }))
}

// deltas is a Stream that records the deltas.
type deltas []llm.Delta

func (d *deltas) Send(x llm.Delta) error { *d = append(*d, x); return nil }

var stop = &llm.Finish{Reason: llm.FinishStop}

func code(err error) sdk.ErrorCode {
	var e *sdk.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func TestClient_ListModels(t *testing.T) {
	t.Parallel()
	want, _ := script(nil).ListModels(t.Context())
	if got, err := reach(t, script(nil)).ListModels(t.Context()); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("ListModels() = %+v, %v, want %+v", got, err, want)
	}
}

// The request and the answer arrive unchanged.
func TestChat_roundTrip(t *testing.T) {
	t.Parallel()
	heat, most, top := 0.0, int64(100), 0.9
	want := &llm.Request{
		Model: "m", RunID: "run-1", Stream: true,
		Messages: []sdk.Message{
			sdk.Text(sdk.RoleSystem, "Be brief."),
			{Role: sdk.RoleUser, Parts: []sdk.Part{{Text: "See:"}, {Blob: &sdk.Blob{MediaType: "image/png", Data: []byte{1, 0}, Name: "a"}}}},
			{Role: sdk.RoleAssistant, ToolCalls: []sdk.ToolCall{{ID: "c", Name: "n", Arguments: `{"a":1}`}}},
			{Role: sdk.RoleTool, ToolCallID: "c", ToolError: true, Parts: []sdk.Part{{Text: ""}}},
		},
		Tools: []sdk.Tool{
			{Name: "n", Description: "d", Parameters: "{}", ReadOnly: true}, {Name: "o", Idempotent: true},
		},
		Parameters: llm.Parameters{Temperature: &heat, MaxTokens: &most, TopP: &top, Stop: []string{"END"}},
	}
	sent := deltas{
		{Reasoning: "Hm."},
		{Text: "Hello"},
		{Text: " there"},
		{ToolCall: &llm.ToolCallDelta{Index: 1, ID: "c", Name: "n", Arguments: "{"}},
		{ToolCall: &llm.ToolCallDelta{Index: 1, Arguments: "}"}},
	}
	finish := &llm.Finish{
		Reason: llm.FinishToolCalls, Model: "m-2026",
		Usage: sdk.Usage{InputTokens: 1, OutputTokens: 2, CachedInputTokens: 3, ReasoningTokens: 4},
	}
	p := reach(t, script(func(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
		if !reflect.DeepEqual(req, want) {
			t.Errorf("Chat received %+v, want %+v", req, want)
		}
		if plugin.RunID(ctx) != "run-1" {
			t.Error("RunID(ctx) is not the ID of the run")
		}
		for _, d := range sent {
			if err := out.Send(d); err != nil {
				return nil, err
			}
		}
		return finish, out.Send(llm.Delta{})
	}))
	var got deltas
	end, err := p.Chat(t.Context(), want, &got)
	if err != nil || !reflect.DeepEqual(got, sent) || !reflect.DeepEqual(end, finish) {
		t.Errorf("Chat sent %+v and returned %+v, %v, want %+v and %+v", got, end, err, sent, finish)
	}
}

func TestChat_withoutStream(t *testing.T) {
	t.Parallel()
	call := &llm.ToolCallDelta{ID: "c", Name: "n", Arguments: "{}"}
	p := reach(t, script(func(_ context.Context, _ *llm.Request, out llm.Stream) (*llm.Finish, error) {
		for _, d := range []llm.Delta{
			{Reasoning: "H"}, {Reasoning: "m"}, {Text: "a"}, {Text: "b"}, {ToolCall: call}, {Text: "c"},
		} {
			_ = out.Send(d)
		}
		return stop, nil
	}))
	var got batches
	if _, err := p.Chat(t.Context(), &llm.Request{}, &got); err != nil {
		t.Fatal(err)
	}
	want := batches{{{Reasoning: "Hm"}, {Text: "ab"}, {ToolCall: call}, {Text: "c"}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got batches %+v, want %+v", got, want)
	}
}

// batches is a BatchStream that records the batches.
type batches [][]llm.Delta

func (*batches) Send(llm.Delta) error { return errors.New("a batch was handed over one by one") }

func (b *batches) SendBatch(ds []llm.Delta) error {
	*b = append(*b, append([]llm.Delta(nil), ds...))
	return nil
}

func TestChat_firstDeltaIsNotDelayed(t *testing.T) {
	t.Parallel()
	seen := make(signal)
	p := reach(t, script(func(ctx context.Context, _ *llm.Request, out llm.Stream) (*llm.Finish, error) {
		_ = out.Send(llm.Delta{Text: "first"})
		select {
		case <-seen:
			return stop, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}))
	if _, err := p.Chat(t.Context(), &llm.Request{Stream: true}, seen); err != nil {
		t.Error(err)
	}
}

// signal is a Stream that signals each delta.
type signal chan struct{}

func (s signal) Send(llm.Delta) error { close(s); return nil }

// While the host processes a message, the following deltas are collected.
func TestChat_slowHostReceivesBatches(t *testing.T) {
	t.Parallel()
	const small = 100
	sent := make(chan struct{})
	big := strings.Repeat("x", 3<<20) // more than gRPC buffers without a reader
	p := reach(t, script(func(_ context.Context, _ *llm.Request, out llm.Stream) (*llm.Finish, error) {
		defer close(sent)
		_ = out.Send(llm.Delta{Text: "first"})
		_ = out.Send(llm.Delta{Text: big})
		for range small {
			_ = out.Send(llm.Delta{Text: "x"})
		}
		return stop, nil
	}))
	host := &slowHost{wait: sent}
	if _, err := p.Chat(t.Context(), &llm.Request{Stream: true}, host); err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, n := range host.sizes {
		total += n
	}
	if total != 2+small || host.sizes[0] != 1 || len(host.sizes) > 5 {
		t.Errorf("got batches of %v deltas, want the deltas after the first in one batch", host.sizes)
	}
}

type slowHost struct {
	wait  chan struct{}
	sizes []int
}

func (*slowHost) Send(llm.Delta) error { return nil }

func (h *slowHost) SendBatch(ds []llm.Delta) error {
	<-h.wait
	h.sizes = append(h.sizes, len(ds))
	return nil
}

func TestChat_errors(t *testing.T) {
	t.Parallel()
	want := &sdk.Error{
		Code: sdk.CodeRateLimited, Message: "slow down", Retryable: true, RetryAfter: 7 * time.Second, ProviderStatus: 429,
	}
	for name, test := range map[string]struct {
		answer script
		want   sdk.ErrorCode
	}{
		"typed":     {func(context.Context, *llm.Request, llm.Stream) (*llm.Finish, error) { return nil, want }, sdk.CodeRateLimited},
		"another":   {func(context.Context, *llm.Request, llm.Stream) (*llm.Finish, error) { return nil, errors.New("oh") }, sdk.CodeInternal},
		"no finish": {func(context.Context, *llm.Request, llm.Stream) (*llm.Finish, error) { return nil, nil }, sdk.CodeInternal},
		"panic":     {func(context.Context, *llm.Request, llm.Stream) (*llm.Finish, error) { panic("oh") }, sdk.CodeInternal},
		"panic later": {func(_ context.Context, _ *llm.Request, out llm.Stream) (*llm.Finish, error) {
			_, _ = out.Send(llm.Delta{Text: "a"}), out.Send(llm.Delta{Text: "b"})
			panic("oh")
		}, sdk.CodeInternal},
		"its own time-out": {func(context.Context, *llm.Request, llm.Stream) (*llm.Finish, error) {
			return nil, context.DeadlineExceeded
		}, sdk.CodeTimeout},
	} {
		for _, stream := range []bool{false, true} {
			var got deltas
			_, err := reach(t, test.answer).Chat(t.Context(), &llm.Request{Stream: stream}, &got)
			if code(err) != test.want {
				t.Errorf("%s: Chat with stream=%t: got error %v, want code %q", name, stream, err, test.want)
			}
			if test.want == sdk.CodeRateLimited && !reflect.DeepEqual(err, error(want)) {
				t.Errorf("%s: Chat: got error %+v, want %+v", name, err, want)
			}
		}
	}
}

// The host receives the deltas that precede an error.
func TestChat_errorAfterDeltas(t *testing.T) {
	t.Parallel()
	p := reach(t, script(func(_ context.Context, _ *llm.Request, out llm.Stream) (*llm.Finish, error) {
		for range 10 {
			_ = out.Send(llm.Delta{Text: "x"})
		}
		return nil, &sdk.Error{Code: sdk.CodeUnavailable, Message: "cut"}
	}))
	var got deltas
	if _, err := p.Chat(t.Context(), &llm.Request{Stream: true}, &got); code(err) != sdk.CodeUnavailable ||
		len(got) != 10 {
		t.Errorf("Chat() = %d deltas, error %v, want the deltas and the error", len(got), err)
	}
}

func TestChat_hostCancels(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{}, 1)
	p := reach(t, script(func(ctx context.Context, _ *llm.Request, out llm.Stream) (*llm.Finish, error) {
		_ = out.Send(llm.Delta{Text: "x"})
		<-ctx.Done()
		ended <- struct{}{}
		return nil, ctx.Err()
	}))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if _, err := p.Chat(ctx, &llm.Request{Stream: true}, then(cancel)); code(err) != sdk.CodeCancelled {
		t.Error(err)
	}
	<-ended

	// An error of the host's Stream also ends the call in the provider.
	full := errors.New("full")
	if _, err := p.Chat(t.Context(), &llm.Request{Stream: true}, failing{full}); !errors.Is(err, full) {
		t.Error(err)
	}
	<-ended

	late, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := p.Chat(late, &llm.Request{Stream: true}, &deltas{}); code(err) != sdk.CodeTimeout {
		t.Error(err)
	}
	<-ended
}

type then func()

func (f then) Send(llm.Delta) error { f(); return nil }

type failing struct{ err error }

func (f failing) Send(llm.Delta) error { return f.err }

func TestChat_providerExits(t *testing.T) {
	t.Parallel()
	var server *grpc.Server
	cc, server := loopback.Serve(t, func(s *grpc.Server) {
		llm.Register(s, script(func(ctx context.Context, _ *llm.Request, out llm.Stream) (*llm.Finish, error) {
			_ = out.Send(llm.Delta{Text: "x"})
			<-ctx.Done()
			return nil, ctx.Err()
		}))
	})
	_, err := llm.NewClient(cc).Chat(t.Context(), &llm.Request{Stream: true}, then(server.Stop))
	if code(err) != sdk.CodePluginCrashed || !sdk.AsError(err).Retryable {
		t.Error(err)
	}
}

// The host closing the connection of a plugin differs from cancelling the call.
func TestChat_connectionCloses(t *testing.T) {
	t.Parallel()
	cc := loopback.Connect(t, func(s *grpc.Server) {
		llm.Register(s, script(func(ctx context.Context, _ *llm.Request, out llm.Stream) (*llm.Finish, error) {
			_ = out.Send(llm.Delta{Text: "x"})
			<-ctx.Done()
			return nil, ctx.Err()
		}))
	})
	_, err := llm.NewClient(cc).Chat(t.Context(), &llm.Request{Stream: true}, then(func() { _ = cc.Close() }))
	if code(err) != sdk.CodePluginCrashed {
		t.Error(err)
	}
}

func TestChat_messageSizes(t *testing.T) {
	t.Parallel()
	p := reach(t, script(func(_ context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
		return stop, out.Send(llm.Delta{Text: req.Messages[0].Text()})
	}))
	ask := func(n int, stream bool) (deltas, error) {
		var got deltas
		_, err := p.Chat(t.Context(), &llm.Request{
			Stream: stream, Messages: []sdk.Message{sdk.Text(sdk.RoleUser, strings.Repeat("x", n))},
		}, &got)
		return got, err
	}
	for _, stream := range []bool{false, true} {
		if got, err := ask(10<<20, stream); err != nil || len(got) != 1 || len(got[0].Text) != 10<<20 {
			t.Errorf("Chat with 10 MiB, stream=%t: got %d deltas and error %v, want all text in one", stream, len(got), err)
		}
	}
	if _, err := ask(65<<20, false); code(err) != sdk.CodeInvalidRequest {
		t.Errorf("Chat with 65 MiB: got error %v, want code %s", err, sdk.CodeInvalidRequest)
	}
	if got, err := ask(1, true); err != nil || len(got) != 1 {
		t.Errorf("Chat after the rejected one: got %d deltas and error %v, want 1", len(got), err)
	}
}

// Invalid UTF-8 is replaced and does not fail the run.
func TestChat_invalidUTF8(t *testing.T) {
	t.Parallel()
	p := reach(t, script(func(_ context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
		return stop, out.Send(llm.Delta{Text: req.Messages[0].Text() + "\xfe"})
	}))
	var got deltas
	_, err := p.Chat(t.Context(), &llm.Request{Stream: true, Messages: []sdk.Message{sdk.Text(sdk.RoleTool, "a\xff")}},
		&got)
	if err != nil || len(got) != 1 || got[0].Text != "a\uFFFD\uFFFD" {
		t.Errorf("Chat with invalid UTF-8: got %+v, %v, want replacement characters", got, err)
	}
}

// raw is a provider that violates the protocol.
type raw struct {
	llmv1.UnimplementedLLMServiceServer
	say []*llmv1.ChatResponse
}

func (r raw) Chat(_ *llmv1.ChatRequest, stream llmv1.LLMService_ChatServer) error {
	for _, m := range r.say {
		if err := stream.Send(m); err != nil {
			return err
		}
	}
	return nil
}

func TestChat_providerViolatesProtocol(t *testing.T) {
	t.Parallel()
	for name, say := range map[string][]*llmv1.ChatResponse{
		"no finish":           {{}},
		"nothing":             nil,
		"more after a finish": {{Finish: &llmv1.Finish{}}, {}},
	} {
		p := llm.NewClient(loopback.Connect(t, func(s *grpc.Server) { llmv1.RegisterLLMServiceServer(s, raw{say: say}) }))
		if _, err := p.Chat(t.Context(), &llm.Request{}, &deltas{}); code(err) != sdk.CodeInternal {
			t.Errorf("%s: Chat: got error %v, want code %s", name, err, sdk.CodeInternal)
		}
	}
}
