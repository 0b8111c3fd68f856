package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/agentarea/agentarea/sdk/plugintest"
	"github.com/agentarea/agentarea/test/testenv"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	binary := testenv.Binary(t, "mcp-sse")
	server := httptest.NewServer(&echoServer{})
	t.Cleanup(server.Close)
	plugintest.MCP(t, plugintest.Command{
		Path: binary, Config: map[string]any{"allow": []string{"127.0.0.1"}},
		Script: plugintest.Script{Server: map[string]any{"url": server.URL}},
	})
}

// echoServer is an MCP server over HTTP with SSE that answers each request with its params
// as the result.
type echoServer struct {
	mu      sync.Mutex
	streams []chan []byte
}

func (e *echoServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		e.stream(w, r)
		return
	}
	var number int
	var message struct{ ID, Params json.RawMessage }
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &message)
	}
	if _, queryErr := fmt.Sscan(r.URL.Query().Get("stream"), &number); err != nil || queryErr != nil {
		http.Error(w, "invalid message", http.StatusBadRequest)
		return
	}
	e.mu.Lock()
	stream := e.streams[number]
	e.mu.Unlock()
	stream <- fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"result":%s}`, message.ID, message.Params)
	w.WriteHeader(http.StatusAccepted)
}

func (e *echoServer) stream(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	answers := make(chan []byte, 10)
	number := len(e.streams)
	e.streams = append(e.streams, answers)
	e.mu.Unlock()
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = fmt.Fprintf(w, "event: endpoint\ndata: /?stream=%d\n\n", number) // fails only if the client is gone
	for {
		_ = http.NewResponseController(w).Flush()
		select {
		case answer := <-answers:
			_, _ = fmt.Fprintf(w, "event: message\ndata: %s\n\n", answer)
		case <-r.Context().Done():
			return
		}
	}
}
