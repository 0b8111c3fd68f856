package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/sdk/llm/remote/remotetest"
)

// newFakeServer returns a server with the Messages API as published by Anthropic. The last
// message of a request selects the answer.
func newFakeServer(t *testing.T) *remotetest.Server {
	t.Helper()
	return remotetest.Serve(t, func(w http.ResponseWriter, r *http.Request, body string) {
		switch {
		case r.Header.Get("X-Api-Key") != remotetest.Key:
			sendError(w, 401, "authentication_error", "invalid x-api-key "+r.Header.Get("X-Api-Key"))
		case r.Header.Get("Anthropic-Version") != "2023-06-01":
			sendError(w, 400, "invalid_request_error", "anthropic-version: header is required")
		case r.Method == http.MethodGet && r.URL.Path == "/v1/models":
			listModels(w, r)
		case r.Method == http.MethodPost && r.URL.Path == "/v1/messages":
			messages(w, r, body)
		default:
			sendError(w, 404, "not_found_error", "Not found")
		}
	})
}

func sendError(w http.ResponseWriter, status int, typ, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{ // fails only if the client is gone
		"type": "error", "error": map[string]string{"type": typ, "message": message}, "request_id": "req_1",
	})
}

func listModels(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	page := `{"data":[{"type":"model","id":"claude-a","display_name":"Claude A","created_at":"2026-01-01T00:00:00Z","max_input_tokens":200000,"max_tokens":64000}],"has_more":true,"first_id":"claude-a","last_id":"claude-a"}`
	if r.URL.Query().Get("after_id") == "claude-a" {
		page = `{"data":[{"type":"model","id":"claude-b","display_name":"Claude B","created_at":"2026-01-01T00:00:00Z"}],"has_more":false,"first_id":"claude-b","last_id":"claude-b"}`
	}
	_, _ = w.Write([]byte(page))
}

type block struct {
	Type      string          `json:"type"`
	Text      string          `json:"text"`
	ID        string          `json:"id"`
	ToolUseID string          `json:"tool_use_id"`
	Input     json.RawMessage `json:"input"`
}

type request struct {
	Model     string
	MaxTokens int64 `json:"max_tokens"`
	Stream    bool
	Messages  []struct {
		Role    string
		Content []block
	}
	Tools []struct {
		Name        string
		InputSchema map[string]any `json:"input_schema"`
	}
}

// check returns the error message for a request that the API rejects, or an empty string.
func (r *request) check() string {
	switch {
	case r.MaxTokens < 1:
		return "max_tokens: Field required"
	case len(r.Messages) == 0 || r.Messages[0].Role != "user":
		return "messages: first message must use the \"user\" role"
	}
	pending := map[string]bool{}
	for i, m := range r.Messages {
		if i > 0 && r.Messages[i-1].Role == m.Role {
			return "messages: roles must alternate"
		}
		for _, b := range m.Content {
			switch {
			case b.Type == "text" && b.Text == "":
				return "messages: text content blocks must be non-empty"
			case b.Type == "tool_use":
				pending[b.ID] = true
			case b.Type == "tool_result" && !pending[b.ToolUseID]:
				return "messages: unexpected `tool_use_id` found in `tool_result` blocks: " + b.ToolUseID
			case b.Type == "tool_result":
				delete(pending, b.ToolUseID)
			}
		}
		if m.Role == "user" && len(pending) > 0 {
			return "messages: `tool_use` ids were found without `tool_result` blocks immediately after"
		}
	}
	for _, t := range r.Tools {
		if t.InputSchema["type"] != "object" {
			return "tools: input_schema.type: Field required"
		}
	}
	return ""
}

func messages(w http.ResponseWriter, r *http.Request, body string) {
	var req request
	if err := json.Unmarshal([]byte(body), &req); err != nil {
		sendError(w, 400, "invalid_request_error", err.Error())
		return
	}
	if issue := req.check(); issue != "" {
		sendError(w, 400, "invalid_request_error", issue)
		return
	}
	content := req.Messages[len(req.Messages)-1].Content
	last := content[len(content)-1]
	switch last.Text {
	case "limited":
		w.Header().Set("Retry-After", "7")
		sendError(w, 429, "rate_limit_error", "This request would exceed your rate limit")
		return
	case "overloaded":
		sendError(w, 529, "overloaded_error", "Overloaded")
		return
	case "no credit":
		sendError(w, 400, "billing_error", "Your credit balance is too low")
		return
	case "long":
		sendError(w, 400, "invalid_request_error", "prompt is too long: 250000 tokens > 200000 maximum")
		return
	case "no model":
		sendError(w, 404, "not_found_error", "model: "+req.Model)
		return
	case "web page":
		w.WriteHeader(http.StatusBadGateway)
		_, _ = w.Write([]byte("<html>Bad Gateway</html>"))
		return
	case "silent":
		<-r.Context().Done()
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	s := &sse{w: w, r: r}
	s.send("message_start",
		`{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-a-2026","content":[],"stop_reason":null,"usage":{"input_tokens":10,"cache_creation_input_tokens":5,"cache_read_input_tokens":100,"output_tokens":1}}}`)
	s.send("ping", `{"type":"ping"}`)
	s.answer(last)
}

type sse struct {
	w http.ResponseWriter
	r *http.Request
}

func (s *sse) send(event, data string) {
	remotetest.Write(s.w, "event: "+event+"\ndata: "+data+"\n\n")
}

func (s *sse) text(index int, pieces ...string) {
	s.send("content_block_start",
		fmt.Sprintf(`{"type":"content_block_start","index":%d,"content_block":{"type":"text","text":""}}`, index))
	for _, p := range pieces {
		s.send("content_block_delta",
			fmt.Sprintf(`{"type":"content_block_delta","index":%d,"delta":{"type":"text_delta","text":%q}}`, index, p))
	}
	s.send("content_block_stop", fmt.Sprintf(`{"type":"content_block_stop","index":%d}`, index))
}

func (s *sse) tool(index int, id string, pieces ...string) {
	s.send("content_block_start",
		fmt.Sprintf(
			`{"type":"content_block_start","index":%d,"content_block":{"type":"tool_use","id":%q,"name":"plugintest_add","input":{}}}`, index, id,
		))
	for _, p := range pieces {
		s.send("content_block_delta",
			fmt.Sprintf(`{"type":"content_block_delta","index":%d,"delta":{"type":"input_json_delta","partial_json":%q}}`,
				index, p))
	}
	s.send("content_block_stop", fmt.Sprintf(`{"type":"content_block_stop","index":%d}`, index))
}

func (s *sse) end(reason string) {
	s.send("message_delta",
		fmt.Sprintf(`{"type":"message_delta","delta":{"stop_reason":%q,"stop_sequence":null},"usage":{"output_tokens":15}}`,
			reason))
	s.send("message_stop", `{"type":"message_stop"}`)
}

func (s *sse) answer(last block) {
	switch {
	case last.Type == "tool_result":
		s.text(0, "It is ", "5.")
		s.end("end_turn")
	case last.Text == "tool":
		s.text(0, "Let me see.")
		s.tool(1, "toolu_1", "", `{"a": 2`, `, "b"`, `: 3}`)
		s.tool(2, "toolu_2", `{"a": 4, "b": 5}`)
		s.end("tool_use")
	case last.Text == "whole":
		s.send("content_block_start", `{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t1",`+
			`"name":"calc__echo","input":{"text":"whole"}}}`)
		s.end("tool_use")
	case last.Text == "think":
		s.send("content_block_start",
			`{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}`)
		s.send("content_block_delta",
			`{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm."}}`)
		s.send("content_block_delta",
			`{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"c2ln"}}`)
		s.send("content_block_stop", `{"type":"content_block_stop","index":0}`)
		s.text(1, "Yes.")
		s.end("end_turn")
	case last.Text == "slow":
		for range 100 {
			s.text(0, "word ")
			select {
			case <-time.After(100 * time.Millisecond):
			case <-s.r.Context().Done():
				return
			}
		}
		s.end("end_turn")
	case last.Text == "fails midway":
		s.text(0, "Well")
		s.send("error", `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`)
	case last.Text == "connection lost":
		s.text(0, "Well")
		remotetest.CloseConnection(s.w)
	case last.Text == "ends early":
		s.text(0, "Well")
	case strings.HasPrefix(last.Text, "stop "):
		s.text(0, "x")
		s.end(strings.TrimPrefix(last.Text, "stop "))
	default:
		s.text(0, "Hello", " there.")
		s.end("end_turn")
	}
}
