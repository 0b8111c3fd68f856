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

// everything is a server of go-sdk's with a tool for each way to talk. began and
// ended are the slow tool's.
func everything(began, ended chan string) *mcp.Server {
	s := mcp.NewServer(&mcp.Implementation{Name: "everything", Version: "1"}, nil)
	mcp.AddTool(s, &mcp.Tool{Name: "echo"}, func(_ context.Context, _ *mcp.CallToolRequest, in input) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: in.Text}}}, nil, nil
	})
	mcp.AddTool(s, &mcp.Tool{Name: "progress"}, func(ctx context.Context, r *mcp.CallToolRequest, _ input) (*mcp.CallToolResult, any, error) {
		for i := range 3 {
			p := &mcp.ProgressNotificationParams{ProgressToken: r.Params.GetProgressToken(), Progress: float64(i)}
			if err := r.Session.NotifyProgress(ctx, p); err != nil {
				return nil, nil, err
			}
		}
		return &mcp.CallToolResult{Content: []mcp.Content{}}, nil, nil
	})
	mcp.AddTool(s, &mcp.Tool{Name: "ask"}, func(ctx context.Context, r *mcp.CallToolRequest, in input) (*mcp.CallToolResult, any, error) {
		m, err := r.Session.Elicit(ctx, &mcp.ElicitParams{Message: in.Text})
		if err != nil {
			return nil, nil, err
		}
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: fmt.Sprint(m.Content["text"])}}}, nil, nil
	})
	mcp.AddTool(s, &mcp.Tool{Name: "slow"}, func(ctx context.Context, _ *mcp.CallToolRequest, _ input) (*mcp.CallToolResult, any, error) {
		began <- "slow"
		select {
		case <-ctx.Done():
			ended <- "slow"
		case <-time.After(patience):
		}
		return nil, nil, ctx.Err()
	})
	mcp.AddTool(s, &mcp.Tool{Name: "break"}, func(_ context.Context, r *mcp.CallToolRequest, in input) (*mcp.CallToolResult, any, error) {
		if r.Extra.CloseSSEStream != nil {
			r.Extra.CloseSSEStream(mcp.CloseSSEStreamArgs{RetryAfter: time.Millisecond})
		}
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: in.Text}}}, nil, nil
	})
	return s
}

type host struct {
	*mcp.ClientSession
	progress, changed chan string
}

// hostOf is a session of go-sdk's client through the transport under test.
func hostOf(t *testing.T, url, revision string) *host {
	t.Helper()
	h := &host{progress: make(chan string, 10), changed: make(chan string, 10)}
	client := mcp.NewClient(&mcp.Implementation{Name: "host", Version: "1"}, &mcp.ClientOptions{
		ElicitationHandler: func(_ context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"text": "re: " + r.Params.Message}}, nil
		},
		ProgressNotificationHandler: func(context.Context, *mcp.ProgressNotificationClientRequest) { h.progress <- "note" },
		ToolListChangedHandler:      func(context.Context, *mcp.ToolListChangedRequest) { h.changed <- "tools" },
	})
	c := dial(t, local(t), url)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := client.Connect(ctx, &sdkTransport{c}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if got := s.InitializeResult().ProtocolVersion; got != revision {
		t.Fatalf("the revision is %s; want %s", got, revision)
	}
	h.ClientSession = s
	return h
}

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

func await(ctx context.Context, t *testing.T, c <-chan string, what string) {
	t.Helper()
	select {
	case <-c:
	case <-ctx.Done():
		t.Fatalf("%s did not come", what)
	}
}

// The servers of go-sdk work through the transport, in each of their modes.
func TestServersOfTheSDK(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		options  mcp.StreamableHTTPOptions
		revision string
		// calls says whether the server can ask the client, and breaks whether its
		// streams can be taken up again.
		calls, breaks bool
	}{
		{"stateful", mcp.StreamableHTTPOptions{EventStore: mcp.NewMemoryEventStore(nil)}, "2025-11-25", true, true},
		{"stateful, without a memory", mcp.StreamableHTTPOptions{}, "2025-11-25", true, false},
		{"stateful JSON", mcp.StreamableHTTPOptions{JSONResponse: true}, "2025-11-25", false, false},
		{"stateless", mcp.StreamableHTTPOptions{Stateless: true, PropagateRequestCancellation: true}, "2026-07-28", false, false},
		{"stateless JSON", mcp.StreamableHTTPOptions{Stateless: true, PropagateRequestCancellation: true, JSONResponse: true}, "2026-07-28", false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			began, ended := make(chan string, 1), make(chan string, 1)
			server := everything(began, ended)
			s := httptest.NewServer(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &tt.options))
			t.Cleanup(s.Close)
			h := hostOf(t, s.URL, tt.revision)

			tools, err := h.ListTools(ctx, nil)
			if err != nil || len(tools.Tools) != 5 {
				t.Fatalf("%v, %v", tools, err)
			}
			for i := range 10 {
				text := fmt.Sprintf("é %d", i)
				if got := h.call(ctx, t, "echo", text); got != text {
					t.Errorf("echo: %q", got)
				}
			}
			if _, err := h.CallTool(ctx, &mcp.CallToolParams{Name: "none"}); err == nil {
				t.Error("a tool that is not there was called")
			}
			if tt.calls {
				if got := h.call(ctx, t, "ask", "hello"); got != "re: hello" {
					t.Errorf("ask: %q", got)
				}
			}
			if !tt.options.JSONResponse {
				h.call(ctx, t, "progress", "p")
				for range 3 {
					await(ctx, t, h.progress, "a note of progress")
				}
			}
			if tt.breaks {
				if got := h.call(ctx, t, "break", "again"); got != "again" {
					t.Errorf("break: %q", got)
				}
			}
			cancelled, cancelCall := context.WithCancel(ctx)
			go func() {
				<-began
				cancelCall()
			}()
			if _, err := h.CallTool(cancelled, &mcp.CallToolParams{Name: "slow", Arguments: input{}}); err == nil {
				t.Error("a cancelled call has a result")
			}
			await(ctx, t, ended, "the end of the cancelled call")
			mcp.AddTool(server, &mcp.Tool{Name: "new"}, func(context.Context, *mcp.CallToolRequest, input) (*mcp.CallToolResult, any, error) {
				return nil, nil, nil
			})
			await(ctx, t, h.changed, "word of the new tool")
			if err := h.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
}
