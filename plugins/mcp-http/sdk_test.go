package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

type input struct {
	Text   string `json:"text"`
	Region string `json:"region,omitempty"`
}

// newTestServer returns a server of go-sdk with a tool for each kind of communication. The
// tool "slow" sends on started and ended.
func newTestServer(started, ended chan string) *mcp.Server {
	s := mcp.NewServer(&mcp.Implementation{Name: "everything", Version: "1"}, nil)
	mcp.AddTool(s, &mcp.Tool{Name: "echo"},
		func(_ context.Context, _ *mcp.CallToolRequest, in input) (*mcp.CallToolResult, any, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: in.Text}}}, nil, nil
		})
	mcp.AddTool(s, &mcp.Tool{Name: "progress"},
		func(ctx context.Context, r *mcp.CallToolRequest, _ input) (*mcp.CallToolResult, any, error) {
			for i := range 3 {
				p := &mcp.ProgressNotificationParams{ProgressToken: r.Params.GetProgressToken(), Progress: float64(i)}
				if err := r.Session.NotifyProgress(ctx, p); err != nil {
					return nil, nil, err
				}
			}
			return &mcp.CallToolResult{Content: []mcp.Content{}}, nil, nil
		})
	mcp.AddTool(s, &mcp.Tool{Name: "ask"},
		func(ctx context.Context, r *mcp.CallToolRequest, in input) (*mcp.CallToolResult, any, error) {
			m, err := r.Session.Elicit(ctx, &mcp.ElicitParams{Message: in.Text})
			if err != nil {
				return nil, nil, err
			}
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: fmt.Sprint(m.Content["text"])}}}, nil, nil
		})
	mcp.AddTool(s, &mcp.Tool{Name: "slow"},
		func(ctx context.Context, _ *mcp.CallToolRequest, _ input) (*mcp.CallToolResult, any, error) {
			started <- "slow"
			select {
			case <-ctx.Done():
				ended <- "slow"
			case <-time.After(testTimeout):
			}
			return nil, nil, ctx.Err()
		})
	mcp.AddTool(s, &mcp.Tool{Name: "break"},
		func(_ context.Context, r *mcp.CallToolRequest, in input) (*mcp.CallToolResult, any, error) {
			if r.Extra.CloseSSEStream != nil {
				r.Extra.CloseSSEStream(mcp.CloseSSEStreamArgs{RetryAfter: time.Millisecond})
			}
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: in.Text}}}, nil, nil
		})
	return s
}

// host is a client session that records notifications.
type host struct {
	*mcp.ClientSession
	progress, changed chan string
}

// newHost returns a session of go-sdk's client through the transport under test.
func newHost(t *testing.T, url, revision string) *host {
	t.Helper()
	h := &host{progress: make(chan string, 10), changed: make(chan string, 10)}
	client := mcp.NewClient(&mcp.Implementation{Name: "host", Version: "1"}, &mcp.ClientOptions{
		ElicitationHandler: func(_ context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"text": "re: " + r.Params.Message}}, nil
		},
		ProgressNotificationHandler: func(context.Context, *mcp.ProgressNotificationClientRequest) { h.progress <- "note" },
		ToolListChangedHandler:      func(context.Context, *mcp.ToolListChangedRequest) { h.changed <- "tools" },
	})
	c := dial(t, newLocalTransport(t), url)
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	s, err := client.Connect(ctx, &sdkTransport{c}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if got := s.InitializeResult().ProtocolVersion; got != revision {
		t.Fatalf("revision = %s, want %s", got, revision)
	}
	h.ClientSession = s
	return h
}

// call calls a tool and returns the text of its result.
func (h *host) call(ctx context.Context, t *testing.T, tool, text string) string {
	t.Helper()
	p := &mcp.CallToolParams{Name: tool, Arguments: input{Text: text, Region: "eu"}}
	p.SetProgressToken("token-" + text)
	r, err := h.CallTool(ctx, p)
	if err != nil {
		t.Errorf("%s: %v", tool, err)
		return ""
	}
	if len(r.Content) == 0 {
		return ""
	}
	return r.Content[0].(*mcp.TextContent).Text
}

// await waits for a value.
func await(ctx context.Context, t *testing.T, c <-chan string, name string) {
	t.Helper()
	select {
	case <-c:
	case <-ctx.Done():
		t.Fatalf("timeout while waiting for %s", name)
	}
}

// The transport works with go-sdk's servers in each of their modes.
func TestGoSDKServers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		options  mcp.StreamableHTTPOptions
		revision string
		// canCall is set if the server can call the client, canResume if its streams can be resumed.
		canCall, canResume bool
	}{
		{"stateful", mcp.StreamableHTTPOptions{EventStore: mcp.NewMemoryEventStore(nil)}, "2025-11-25", true, true},
		{"stateful, without an event store", mcp.StreamableHTTPOptions{}, "2025-11-25", true, false},
		{"stateful JSON", mcp.StreamableHTTPOptions{JSONResponse: true}, "2025-11-25", false, false},
		{"stateless", mcp.StreamableHTTPOptions{Stateless: true, PropagateRequestCancellation: true}, "2026-07-28", false, false},
		{"stateless JSON", mcp.StreamableHTTPOptions{Stateless: true, PropagateRequestCancellation: true, JSONResponse: true}, "2026-07-28", false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
			defer cancel()
			started, ended := make(chan string, 1), make(chan string, 1)
			server := newTestServer(started, ended)
			s := httptest.NewServer(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &tt.options))
			t.Cleanup(s.Close)
			h := newHost(t, s.URL, tt.revision)

			tools, err := h.ListTools(ctx, nil)
			if err != nil || len(tools.Tools) != 5 {
				t.Fatalf("ListTools() = %v, %v, want 5 tools", tools, err)
			}
			for i := range 10 {
				text := fmt.Sprintf("é %d", i)
				if got := h.call(ctx, t, "echo", text); got != text {
					t.Errorf("echo = %q, want %q", got, text)
				}
			}
			if _, err := h.CallTool(ctx, &mcp.CallToolParams{Name: "none"}); err == nil {
				t.Error("CallTool() of an unknown tool = nil, want an error")
			}
			if tt.canCall {
				if got := h.call(ctx, t, "ask", "hello"); got != "re: hello" {
					t.Errorf("ask = %q, want \"re: hello\"", got)
				}
			}
			if !tt.options.JSONResponse {
				h.call(ctx, t, "progress", "p")
				for range 3 {
					await(ctx, t, h.progress, "a progress notification")
				}
			}
			if tt.canResume {
				if got := h.call(ctx, t, "break", "again"); got != "again" {
					t.Errorf("break = %q, want again", got)
				}
			}
			callCtx, cancelCall := context.WithCancel(ctx)
			go func() {
				<-started
				cancelCall()
			}()
			if _, err := h.CallTool(callCtx, &mcp.CallToolParams{Name: "slow", Arguments: input{}}); err == nil {
				t.Error("CallTool() = nil after its cancellation, want an error")
			}
			await(ctx, t, ended, "the end of the cancelled call")
			mcp.AddTool(server, &mcp.Tool{Name: "new"},
				func(context.Context, *mcp.CallToolRequest, input) (*mcp.CallToolResult, any, error) {
					return nil, nil, nil
				})
			await(ctx, t, h.changed, "the notification about the new tool")
			if err := h.Close(); err != nil {
				t.Errorf("Close() = %v", err)
			}
		})
	}
}
