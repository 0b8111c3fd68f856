// Package remotetest helps to test providers of language models that use HTTP APIs. It provides a
// server that takes the place of the real one.
package remotetest

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
)

// Key is the API key for tests.
const Key = "key-of-the-test-0123456789"

// Answer is an llm.Stream that collects the pieces of an answer.
type Answer struct {
	Text, Reasoning string
	Calls           []sdk.ToolCall
	// Pieces is the number of calls of Send.
	Pieces int
	// Sent, if set, is called after each piece.
	Sent func()
}

// Send implements llm.Stream.
func (a *Answer) Send(d llm.Delta) error {
	a.Pieces++
	a.Text += d.Text
	a.Reasoning += d.Reasoning
	if c := d.ToolCall; c != nil {
		for len(a.Calls) <= c.Index {
			a.Calls = append(a.Calls, sdk.ToolCall{})
		}
		call := &a.Calls[c.Index]
		call.ID += c.ID
		call.Name += c.Name
		call.Arguments += c.Arguments
	}
	if a.Sent != nil {
		a.Sent()
	}
	return nil
}

// Ask returns a request in which the user sends text to a model.
func Ask(model, text string, tools ...sdk.Tool) *llm.Request {
	return &llm.Request{Model: model, Messages: []sdk.Message{sdk.Text(sdk.RoleUser, text)}, Tools: tools, Stream: true}
}

// AddTool is a tool for requests. It adds two numbers.
var AddTool = sdk.Tool{
	Name: "plugintest_add", Description: "Adds",
	Parameters: `{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"required":["a","b"],"additionalProperties":false}`,
}

// WithResults returns the request that follows an answer with tool calls. Every call has the same
// result.
func WithResults(req *llm.Request, a *Answer, result string) *llm.Request {
	next := *req
	answer := sdk.Text(sdk.RoleAssistant, a.Text)
	answer.ToolCalls = a.Calls
	next.Messages = append(slices.Clone(req.Messages), answer)
	for _, c := range a.Calls {
		m := sdk.Text(sdk.RoleTool, result)
		m.ToolCallID = c.ID
		next.Messages = append(next.Messages, m)
	}
	return &next
}

// Server is an HTTP server that stores the requests that it receives.
type Server struct {
	URL string

	mu     sync.Mutex
	bodies []string
}

// Serve starts a server that runs until the test ends. It calls answer for each request, with the body
// of the request.
func Serve(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, body string)) *Server {
	t.Helper()
	s := &Server{}
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var b strings.Builder
		if r.Body != nil {
			buf := make([]byte, 32<<10)
			for {
				n, err := r.Body.Read(buf)
				b.Write(buf[:n])
				if err != nil {
					break
				}
			}
		}
		s.mu.Lock()
		s.bodies = append(s.bodies, b.String())
		s.mu.Unlock()
		answer(w, r, b.String())
	}))
	t.Cleanup(func() {
		h.CloseClientConnections()
		h.Close()
	})
	s.URL = h.URL
	return s
}

// Last returns the body of the latest request, or "" if there was none.
func (s *Server) Last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.bodies) == 0 {
		return ""
	}
	return s.bodies[len(s.bodies)-1]
}

// Write sends text to the client immediately.
func Write(w http.ResponseWriter, text string) {
	_, _ = w.Write([]byte(text)) // fails only if the client has disconnected
	_ = http.NewResponseController(w).Flush()
}

// CloseConnection closes the connection to the client before the response is complete.
func CloseConnection(w http.ResponseWriter) {
	_ = http.NewResponseController(w).Flush()
	if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = c.Close()
	}
}
