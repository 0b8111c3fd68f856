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

// peer is a Child that is a go-sdk server in this process.
type peer struct {
	conn mcp.Connection
	stop context.CancelFunc
}

func startPeer(server *mcp.Server) (Child, error) {
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
	return &peer{conn, stop}, nil
}

func (p *peer) Send(ctx context.Context, message []byte) error {
	m, err := jsonrpc.DecodeMessage(message)
	if err != nil {
		return err
	}
	return p.conn.Write(ctx, m)
}

func (p *peer) Receive(ctx context.Context) ([]byte, error) {
	m, err := p.conn.Read(ctx)
	if err != nil {
		return nil, io.EOF
	}
	return jsonrpc.EncodeMessage(m)
}

func (p *peer) Close() error {
	p.stop()
	return p.conn.Close()
}

// client connects go-sdk's through the gateway, in that revision; the newest if it
// is empty.
func (r *rig) client(t *testing.T, slug, token, version string, o *mcp.ClientOptions) *mcp.ClientSession {
	t.Helper()
	c := mcp.NewClient(&mcp.Implementation{Name: "t", Version: "1"}, o)
	s, err := c.Connect(t.Context(), &mcp.StreamableClientTransport{
		Endpoint: r.url + "/mcp/" + slug + "/mcp", HTTPClient: &http.Client{Transport: withToken(token)},
	}, &mcp.ClientSessionOptions{ProtocolVersion: version})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

type withToken string

func (w withToken) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(w))
	return http.DefaultTransport.RoundTrip(r)
}

func said(r *mcp.CallToolResult) string {
	var b strings.Builder
	for _, c := range r.Content {
		if text, ok := c.(*mcp.TextContent); ok {
			b.WriteString(text.Text)
		}
	}
	return b.String()
}

func mustCall(t *testing.T, s *mcp.ClientSession, name string, arguments map[string]any) string {
	t.Helper()
	r, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: name, Arguments: arguments})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return said(r)
}

// npm's server-everything knows older revisions only.
func TestAModernClientOnAnOldServer(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	node, script := mcptest.Node(t), mcptest.Script(t, "mcp-server-everything")
	r := newRig(t, map[string]func() (Child, error){"old": func() (Child, error) { return startProgram(node, script) }})
	var progress atomic.Int64
	s := r.client(t, "old", "ada", "", &mcp.ClientOptions{
		ProgressNotificationHandler: func(context.Context, *mcp.ProgressNotificationClientRequest) { progress.Add(1) },
	})
	if v := s.InitializeResult().ProtocolVersion; v != version202607 {
		t.Errorf("it speaks %s", v)
	}
	tools, err := s.ListTools(t.Context(), nil)
	if err != nil || len(tools.Tools) < 5 {
		t.Fatalf("%+v %v", tools, err)
	}
	if got := mustCall(t, s, "echo", map[string]any{"message": "hello"}); !strings.Contains(got, "hello") {
		t.Errorf("%q", got)
	}
	params := &mcp.CallToolParams{Name: "trigger-long-running-operation", Arguments: map[string]any{"duration": 1, "steps": 3}}
	params.SetProgressToken("p")
	if res, err := s.CallTool(t.Context(), params); err != nil || res.IsError {
		t.Errorf("%+v %v", res, err)
	}
	if progress.Load() == 0 {
		t.Error("no progress came")
	}
	if res, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "no-such-tool"}); err == nil && !res.IsError {
		t.Errorf("a tool that is not there: %+v", res)
	}
	resources, err := s.ListResources(t.Context(), nil)
	if err != nil || len(resources.Resources) == 0 {
		t.Fatalf("%+v %v", resources, err)
	}
	if res, err := s.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: resources.Resources[0].URI}); err != nil || len(res.Contents) == 0 {
		t.Errorf("%+v %v", res, err)
	}
}

func TestAnOldClientOnAModernServer(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]func() (Child, error){"new": func() (Child, error) {
		server := mcp.NewServer(&mcp.Implementation{Name: "new", Version: "1"}, &mcp.ServerOptions{SupportedProtocolVersions: []string{version202607}})
		mcp.AddTool(server, &mcp.Tool{Name: "greet"}, func(_ context.Context, _ *mcp.CallToolRequest, in struct {
			Name string `json:"name"`
		},
		) (*mcp.CallToolResult, any, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "Hi " + in.Name}}}, nil, nil
		})
		return startPeer(server)
	}})
	for range 2 { // the second one finds the era known
		s := r.client(t, "new", "ada", "2025-06-18", nil)
		if v := s.InitializeResult().ProtocolVersion; v >= version202607 {
			t.Errorf("it speaks %s", v)
		}
		if got := mustCall(t, s, "greet", map[string]any{"name": "Ada"}); got != "Hi Ada" {
			t.Errorf("%q", got)
		}
	}
}

func TestBothErasAtOnce(t *testing.T) {
	t.Parallel()
	r := newEverything(t)
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
				if err != nil || said(res) == "" {
					t.Errorf("%+v %v", res, err)
					return
				}
			}
		}()
	}
	for range sessions {
		<-done
	}
	if n := r.alive("everything"); n != 3 { // two sessions', and one of all modern clients
		t.Errorf("%d children", n)
	}
}

// A legacy client's session is asked, and may go on for as long as it takes.
func TestElicitation(t *testing.T) {
	t.Parallel()
	r := newEverything(t, func(o *Options) { o.Times = Times{Call: 3 * time.Second} })
	s := r.client(t, "everything", "ada", "2025-11-25", &mcp.ClientOptions{
		ElicitationHandler: func(ctx context.Context, _ *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			select {
			case <-time.After(4 * time.Second): // longer than a call may take that asks nothing
			case <-ctx.Done():
			}
			return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"username": "ada", "email": "ada@example.com"}}, nil
		},
		CreateMessageHandler: func(context.Context, *mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) { //nolint:staticcheck // deprecated, for revisions to come
			return &mcp.CreateMessageResult{Model: "m", Role: "assistant", Content: &mcp.TextContent{Text: "sampled"}}, nil //nolint:staticcheck // as above
		},
	})
	if got := mustCall(t, s, "test_elicitation", map[string]any{"message": "Sure?"}); !strings.Contains(got, "accept") {
		t.Errorf("%q", got)
	}
	if got := mustCall(t, s, "test_sampling", map[string]any{"prompt": "x"}); !strings.Contains(got, "sampled") {
		t.Errorf("%q", got)
	}
}
