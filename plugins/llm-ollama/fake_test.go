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

// newFakeServer returns a server with Ollama's API as published. The last message of a
// request selects the answer.
func newFakeServer(t *testing.T) *remotetest.Server {
	t.Helper()
	return remotetest.Serve(t, func(w http.ResponseWriter, r *http.Request, body string) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		switch r.Method + " " + r.URL.Path {
		case "GET /api/tags":
			_, _ = w.Write(
				[]byte(
					`{"models":[{"name":"llama3.2:latest","model":"llama3.2:latest","size":2019393189},{"name":"gone:latest","model":"gone:latest"}]}`,
				),
			)
		case "POST /api/show":
			if strings.Contains(body, "gone") {
				sendError(w, 404, "model 'gone:latest' not found")
				return
			}
			_, _ = w.Write(
				[]byte(
					`{"capabilities":["completion","tools","vision"],"model_info":{"general.architecture":"llama","llama.context_length":131072}}`,
				),
			)
		case "POST /api/chat":
			chat(w, r, body)
		default:
			http.NotFound(w, r)
		}
	})
}

func sendError(w http.ResponseWriter, status int, message string) {
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"error":%q}`, message)
}

func chat(w http.ResponseWriter, r *http.Request, body string) {
	var req chatRequest
	if err := json.Unmarshal([]byte(body), &req); err != nil {
		sendError(w, 400, err.Error())
		return
	}
	last := req.Messages[len(req.Messages)-1]
	switch {
	case req.Model != "llama3.2":
		sendError(w, 404, fmt.Sprintf("model '%s' not found", req.Model))
		return
	case last.Role == "tool" && last.ToolName != "plugintest_add":
		sendError(w, 400, "no tool with this name was called")
		return
	}
	switch last.Content {
	case "limited":
		w.Header().Set("Retry-After", "7")
		sendError(w, 429, "too many requests")
		return
	case "overloaded":
		sendError(w, 503, "server busy, please try again. maximum pending requests exceeded")
		return
	case "no tools":
		sendError(w, 400, "registry.ollama.ai/library/llama3.2 does not support tools")
		return
	case "silent":
		<-r.Context().Done()
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	(&ndjson{w: w, r: r}).answer(last)
}

type ndjson struct {
	w http.ResponseWriter
	r *http.Request
}

func (s *ndjson) send(message string) {
	remotetest.Write(s.w,
		`{"model":"llama3.2","created_at":"2026-01-01T00:00:00Z","message":`+message+`,"done":false}`+"\n")
}

func (s *ndjson) text(text string) { s.send(fmt.Sprintf(`{"role":"assistant","content":%q}`, text)) }

func (s *ndjson) end(reason string) {
	remotetest.Write(s.w,
		fmt.Sprintf(
			`{"model":"llama3.2","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":""},"done":true,"done_reason":%q,"total_duration":4883583458,"prompt_eval_count":26,"eval_count":7}`+"\n", reason,
		))
}

func (s *ndjson) answer(last message) {
	switch {
	case last.Role == "tool":
		s.text("It is ")
		s.text("5.")
		s.end("stop")
	case last.Content == "tool":
		s.send(
			`{"role":"assistant","content":"","tool_calls":[{"function":{"name":"plugintest_add","arguments":{"b":3,"a":2}}}]}`,
		)
		s.send(
			`{"role":"assistant","content":"","tool_calls":[{"function":{"name":"plugintest_add","arguments":{"a":4,"b":5}}}]}`,
		)
		s.end("stop")
	case last.Content == "think":
		s.send(`{"role":"assistant","content":"","thinking":"Hm."}`)
		s.text("Yes.")
		s.end("stop")
	case last.Content == "slow":
		for range 100 {
			s.text("word ")
			select {
			case <-time.After(100 * time.Millisecond):
			case <-s.r.Context().Done():
				return
			}
		}
		s.end("stop")
	case last.Content == "fails midway":
		s.text("Well")
		remotetest.Write(s.w, `{"error":"an error was encountered while running the model"}`+"\n")
	case last.Content == "invalid line":
		remotetest.Write(s.w, "<html>\n")
	case last.Content == "connection lost":
		s.text("Well")
		remotetest.CloseConnection(s.w)
	case last.Content == "ends early":
		s.text("Well")
	case strings.HasPrefix(last.Content, "stop "):
		s.text("x")
		s.end(strings.TrimPrefix(last.Content, "stop "))
	default:
		s.text("Hello")
		s.text(" there.")
		s.end("stop")
	}
}
