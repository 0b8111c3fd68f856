package gateway

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/agentarea/agentarea/test/mcptest"
	"github.com/agentarea/agentarea/test/testenv"
)

// sdkServer is a Conn to a server of the Go SDK in this process.
type sdkServer struct {
	conn mcp.Connection
	stop context.CancelFunc
}

func startSDKServer(server *mcp.Server) (Conn, error) {
	ctx, stop := context.WithCancel(context.Background())
	near, far := mcp.NewInMemoryTransports()
	if _, err := server.Connect(ctx, far, nil); err != nil {
		stop()
		return nil, err
	}
	conn, err := near.Connect(ctx)
	if err != nil {
		stop()
		return nil, err
	}
	return &sdkServer{conn, stop}, nil
}

func (p *sdkServer) Send(ctx context.Context, message []byte) error {
	m, err := jsonrpc.DecodeMessage(message)
	if err != nil {
		return err
	}
	return p.conn.Write(ctx, m)
}

func (p *sdkServer) Receive(ctx context.Context) ([]byte, error) {
	m, err := p.conn.Read(ctx)
	if err != nil {
		return nil, io.EOF
	}
	return jsonrpc.EncodeMessage(m)
}

func (p *sdkServer) Close() error {
	p.stop()
	return p.conn.Close()
}

// client connects a client of the Go SDK to the gateway. version "" means the newest revision.
func (e *env) client(t *testing.T, slug, token, version string, o *mcp.ClientOptions) *mcp.ClientSession {
	t.Helper()
	c := mcp.NewClient(&mcp.Implementation{Name: "t", Version: "1"}, o)
	s, err := c.Connect(t.Context(), &mcp.StreamableClientTransport{
		Endpoint: e.url + "/mcp/" + slug + "/mcp", HTTPClient: &http.Client{Transport: bearerToken(token)},
	}, &mcp.ClientSessionOptions{ProtocolVersion: version})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// bearerToken is a RoundTripper that adds an access token.
type bearerToken string

func (w bearerToken) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(w))
	return http.DefaultTransport.RoundTrip(r)
}

// textOf returns the text of a tool result.
func textOf(r *mcp.CallToolResult) string {
	var b strings.Builder
	for _, c := range r.Content {
		if text, ok := c.(*mcp.TextContent); ok {
			b.WriteString(text.Text)
		}
	}
	return b.String()
}

// mustCall calls a tool and returns the text of the result.
func mustCall(t *testing.T, s *mcp.ClientSession, name string, arguments map[string]any) string {
	t.Helper()
	r, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: name, Arguments: arguments})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return textOf(r)
}

// The npm package server-everything supports legacy revisions only.
func TestModernClientWithLegacyServer(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	node, script := mcptest.Node(t), mcptest.Script(t, "mcp-server-everything")
	r := newEnv(t, map[string]func() (Conn, error){"old": func() (Conn, error) { return startProgram(node, script) }})
	var progress atomic.Int64
	s := r.client(t, "old", "ada", "", &mcp.ClientOptions{
		ProgressNotificationHandler: func(context.Context, *mcp.ProgressNotificationClientRequest) { progress.Add(1) },
	})
	if v := s.InitializeResult().ProtocolVersion; v != version202607 {
		t.Errorf("got protocol version %s, want %s", v, version202607)
	}
	tools, err := s.ListTools(t.Context(), nil)
	if err != nil || len(tools.Tools) < 5 {
		t.Fatalf("got %+v, %v", tools, err)
	}
	if got := mustCall(t, s, "echo", map[string]any{"message": "hello"}); !strings.Contains(got, "hello") {
		t.Errorf("echo: got %q, want hello", got)
	}
	params := &mcp.CallToolParams{
		Name: "trigger-long-running-operation", Arguments: map[string]any{"duration": 1, "steps": 3},
	}
	params.SetProgressToken("p")
	if res, err := s.CallTool(t.Context(), params); err != nil || res.IsError {
		t.Errorf("got %+v, error %v, want a result", res, err)
	}
	if progress.Load() == 0 {
		t.Error("got no progress notification")
	}
	if res, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "no-such-tool"}); err == nil && !res.IsError {
		t.Errorf("unknown tool: got %+v, want an error", res)
	}
	resources, err := s.ListResources(t.Context(), nil)
	if err != nil || len(resources.Resources) == 0 {
		t.Fatalf("got %+v, %v", resources, err)
	}
	if res, err := s.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: resources.Resources[0].URI}); err != nil ||
		len(res.Contents) == 0 {
		t.Errorf("got %+v, error %v, want a result", res, err)
	}
}

func TestLegacyClientWithModernServer(t *testing.T) {
	t.Parallel()
	r := newEnv(t, map[string]func() (Conn, error){"new": func() (Conn, error) {
		server := mcp.NewServer(&mcp.Implementation{Name: "new", Version: "1"},
			&mcp.ServerOptions{SupportedProtocolVersions: []string{version202607}})
		mcp.AddTool(server, &mcp.Tool{Name: "greet"}, func(_ context.Context, _ *mcp.CallToolRequest, in struct {
			Name string `json:"name"`
		},
		) (*mcp.CallToolResult, any, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "Hi " + in.Name}}}, nil, nil
		})
		return startSDKServer(server)
	}})
	for range 2 { // the second client uses the remembered result
		s := r.client(t, "new", "ada", "2025-06-18", nil)
		if v := s.InitializeResult().ProtocolVersion; v >= version202607 {
			t.Errorf("got protocol version %s, want a legacy version", v)
		}
		if got := mustCall(t, s, "greet", map[string]any{"name": "Ada"}); got != "Hi Ada" {
			t.Errorf("greet: got %q, want %q", got, "Hi Ada")
		}
	}
}

func TestLegacyAndModernClientsTogether(t *testing.T) {
	t.Parallel()
	r := newEverythingEnv(t)
	done := make(chan struct{})
	sessions := []*mcp.ClientSession{
		r.client(t, "everything", "ada", "", nil), r.client(t, "everything", "bob", "", nil),
		r.client(t, "everything", "ada", "2025-11-25", nil), r.client(t, "everything", "bob", "2025-03-26", nil),
	}
	for _, s := range sessions {
		go func() {
			defer func() { done <- struct{}{} }()
			for range 20 {
				res, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "test_simple_text"})
				if err != nil || textOf(res) == "" {
					t.Errorf("got %+v, error %v, want a result", res, err)
					return
				}
			}
		}()
	}
	for range sessions {
		<-done
	}
	if n := r.openCount("everything"); n != 3 { // two sessions and the shared upstream
		t.Errorf("got %d connections, want 3", n)
	}
}

// The time in which a client answers a request of the server does not count against the server.
func TestServerRequestPausesTimeout(t *testing.T) {
	t.Parallel()
	r := newEverythingEnv(t, func(o *Options) { o.Times = Times{Call: 3 * time.Second} })
	s := r.client(t, "everything", "ada", "2025-11-25", &mcp.ClientOptions{
		ElicitationHandler: func(ctx context.Context, _ *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			select {
			case <-time.After(4 * time.Second): // longer than Times.Call
			case <-ctx.Done():
			}
			return &mcp.ElicitResult{
				Action: "accept", Content: map[string]any{"username": "ada", "email": "ada@example.com"},
			}, nil
		},
		CreateMessageHandler: func(context.Context, *mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) { //nolint:staticcheck // deprecated for future revisions
			return &mcp.CreateMessageResult{Model: "m", Role: "assistant", Content: &mcp.TextContent{Text: "sampled"}}, nil //nolint:staticcheck // deprecated for future revisions
		},
	})
	if got := mustCall(t, s, "test_elicitation", map[string]any{"message": "Sure?"}); !strings.Contains(got, "accept") {
		t.Errorf("test_elicitation: got %q, want accept", got)
	}
	if got := mustCall(t, s, "test_sampling", map[string]any{"prompt": "x"}); !strings.Contains(got, "sampled") {
		t.Errorf("test_sampling: got %q, want sampled", got)
	}
}
