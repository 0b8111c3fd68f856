package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
	"github.com/agentarea/agentarea/sdk/mcptransport/remote"
)

// testTimeout is the maximum time that a test waits for an expected event.
const testTimeout = 2 * time.Minute

// newLocalTransport returns a transport that may connect to 127.0.0.1.
func newLocalTransport(t *testing.T) *transport {
	t.Helper()
	return configured(t,
		remote.Settings{Allow: []string{"127.0.0.1"}, ConnectTimeout: testTimeout, AnswerTimeout: testTimeout})
}

// configured returns a transport with the given settings.
func configured(t *testing.T, s remote.Settings) *transport {
	t.Helper()
	tr := &transport{settings: s}
	if err := tr.Configure(t.Context(), sdk.Env{}); err != nil {
		t.Fatal(err)
	}
	return tr
}

// config returns the config of an MCP server.
func config(t *testing.T, url string, headers map[string]string) json.RawMessage {
	t.Helper()
	data, err := json.Marshal(map[string]any{"url": url, "headers": headers})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// connect returns a connection to a server with the given handler.
func connect(t *testing.T, h http.HandlerFunc) mcptransport.Conn {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return dial(t, newLocalTransport(t), s.URL)
}

// dial returns a connection to a URL.
func dial(t *testing.T, tr *transport, url string) mcptransport.Conn {
	t.Helper()
	c, err := tr.Connect(t.Context(), mcptransport.Open{Slug: "s", Config: config(t, url, nil)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// send sends a message.
func send(t *testing.T, c mcptransport.Conn, message string) {
	t.Helper()
	if err := c.Send(t.Context(), []byte(message)); err != nil {
		t.Fatalf("Send(%s): %v", message, err)
	}
}

// receive returns the next message. It skips log lines.
func receive(t *testing.T, c mcptransport.Conn) string {
	t.Helper()
	for {
		if f := receiveFrame(t, c); f.Message != nil {
			return string(f.Message)
		}
	}
}

// receiveFrame returns the next frame.
func receiveFrame(t *testing.T, c mcptransport.Conn) mcptransport.Frame {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	f, err := c.Receive(ctx)
	if err != nil {
		t.Fatalf("Receive() = %v", err)
	}
	return f
}

// waitExit waits for the end of the connection and returns its reason.
func waitExit(t *testing.T, c mcptransport.Conn) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	for {
		_, err := c.Receive(ctx)
		var e *mcptransport.Exit
		if errors.As(err, &e) {
			return e.Message
		}
		if err != nil {
			t.Fatalf("Receive() = %v", err)
		}
	}
}

// want checks that the next message contains all the texts.
func want(t *testing.T, c mcptransport.Conn, texts ...string) {
	t.Helper()
	m := receive(t, c)
	for _, text := range texts {
		if !strings.Contains(m, text) {
			t.Errorf("message = %.300s, want it to contain %s", m, text)
		}
	}
}

const (
	initialize       = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}`
	initialized      = `{"jsonrpc":"2.0","method":"notifications/initialized"}`
	initializeResult = `{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18","capabilities":{}}}`
	meta             = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}`
)

// legacy returns a handler that performs the handshake and calls h for all other requests.
func legacy(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		switch {
		case string(body) == initialize:
			w.Header().Set("Mcp-Session-Id", "session-1")
			answer(w, initializeResult)
		case string(body) == initialized:
			w.WriteHeader(http.StatusAccepted)
		default:
			h(w, r)
		}
	}
}

// handshake performs the handshake of a legacy server.
func handshake(t *testing.T, c mcptransport.Conn) {
	t.Helper()
	send(t, c, initialize)
	want(t, c, initializeResult)
	send(t, c, initialized)
}

// answer sends a JSON response.
func answer(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, body)
}

// events sends a part of an event stream.
func events(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = io.WriteString(w, text)
	w.(http.Flusher).Flush()
}

// bodyOf returns the body of a request.
func bodyOf(r *http.Request) string {
	body, _ := io.ReadAll(r.Body)
	return string(body)
}

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
