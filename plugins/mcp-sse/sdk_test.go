package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/agentarea/agentarea/sdk/mcptransport"
)

// sdkTransport lets go-sdk's client use a connection.
type sdkTransport struct{ conn mcptransport.Conn }

func (s *sdkTransport) Connect(context.Context) (mcp.Connection, error) { return s, nil }

func (s *sdkTransport) Read(ctx context.Context) (jsonrpc.Message, error) {
	for {
		f, err := s.conn.Receive(ctx)
		if err != nil {
			return nil, io.EOF
		}
		if f.Message != nil {
			return jsonrpc.DecodeMessage(f.Message)
		}
	}
}

func (s *sdkTransport) Write(ctx context.Context, m jsonrpc.Message) error {
	data, err := jsonrpc.EncodeMessage(m)
	if err != nil {
		return err
	}
	return s.conn.Send(ctx, data)
}

func (s *sdkTransport) Close() error      { return s.conn.Close() }
func (s *sdkTransport) SessionID() string { return "" }

// The transport works with go-sdk's server, which can also call its client.
func TestGoSDKServer(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	type input struct {
		Text string `json:"text"`
	}
	server := mcp.NewServer(&mcp.Implementation{Name: "s", Version: "1"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "ask"},
		func(ctx context.Context, r *mcp.CallToolRequest, in input) (*mcp.CallToolResult, any, error) {
			m, err := r.Session.Elicit(ctx, &mcp.ElicitParams{Message: in.Text})
			if err != nil {
				return nil, nil, err
			}
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: fmt.Sprint(m.Content["text"])}}}, nil, nil
		})
	handler := mcp.NewSSEHandler(func(*http.Request) *mcp.Server { return server }, nil)
	s := httptest.NewServer(handler)
	defer s.Close()
	c, err := dial(t, s.URL)
	if err != nil {
		t.Fatal(err)
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "c", Version: "1"}, &mcp.ClientOptions{
		ElicitationHandler: func(_ context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"text": r.Params.Message}}, nil
		},
	})
	session, err := client.Connect(ctx, &sdkTransport{c}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = session.Close() }()
	var calls sync.WaitGroup
	for i := range 20 {
		calls.Go(func() {
			text := fmt.Sprint(i)
			r, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "ask", Arguments: input{Text: text}})
			if err != nil || r.Content[0].(*mcp.TextContent).Text != text {
				t.Errorf("CallTool(ask, %q) = %v, %v", text, r, err)
			}
		})
	}
	calls.Wait()
}
