// Package remotetest helps to test providers of language models that are reached
// over HTTP, against a server that stands for the real one.
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

// Key is the API key of tests.
const Key = "key-of-the-test-0123456789"

// Answer puts an answer's pieces together. It is an llm.Stream.
type Answer struct {
	Text, Reasoning string
	Calls           []sdk.ToolCall
	Pieces          int
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

// Ask has a user say text to a model.
func Ask(model, text string, tools ...sdk.Tool) *llm.Request {
	return &llm.Request{Model: model, Messages: []sdk.Message{sdk.Text(sdk.RoleUser, text)}, Tools: tools, Stream: true}
}

// AddTool is one to offer.
var AddTool = sdk.Tool{
	Name: "plugintest_add", Description: "Adds",
	Parameters: `{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"required":["a","b"],"additionalProperties":false}`,
}

// WithResults goes on after an answer with calls: each gets the same result.
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

// Server is one that keeps what it was asked.
type Server struct {
	URL string

	mu     sync.Mutex
	bodies []string
}

// Serve runs a server until the test ends. answer gets each request with its body.
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

// Last is the newest request's body.
func (s *Server) Last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.bodies) == 0 {
		return ""
	}
	return s.bodies[len(s.bodies)-1]
}

// Write sends text to the client at once.
func Write(w http.ResponseWriter, text string) {
	_, _ = w.Write([]byte(text)) // or the client is gone
	_ = http.NewResponseController(w).Flush()
}

// Cut breaks the connection.
func Cut(w http.ResponseWriter) {
	_ = http.NewResponseController(w).Flush()
	if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = c.Close()
	}
}
