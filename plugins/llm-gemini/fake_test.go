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

// newFakeServer returns a server with the Gemini API as published by Google. The last part
// of a request selects the answer.
func newFakeServer(t *testing.T) *remotetest.Server {
	t.Helper()
	return remotetest.Serve(t, func(w http.ResponseWriter, r *http.Request, body string) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.Header.Get("X-Goog-Api-Key") != remotetest.Key:
			sendError(w, 400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.",
				`{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}`)
		case r.Method == http.MethodGet && r.URL.Path == "/v1beta/models":
			listModels(w, r)
		case r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/v1beta/models/gemini-") &&
			strings.HasSuffix(r.URL.Path, ":streamGenerateContent") && r.URL.Query().Get("alt") == "sse":
			generate(w, r, body)
		default:
			sendError(w, 404, "NOT_FOUND", r.URL.Path+" is not found for API version v1beta", "")
		}
	})
}

func sendError(w http.ResponseWriter, status int, errorStatus, message, detail string) {
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"error":{"code":%d,"message":%q,"status":%q,"details":[%s]}}`,
		status, message, errorStatus, detail)
}

func listModels(w http.ResponseWriter, r *http.Request) {
	page := `{"models":[{"name":"models/gemini-a","displayName":"Gemini A","inputTokenLimit":1048576,"outputTokenLimit":65536,"supportedGenerationMethods":["generateContent","countTokens"],"thinking":true},
		{"name":"models/embedding-a","displayName":"Embedding","supportedGenerationMethods":["embedContent"]}],"nextPageToken":"two"}`
	if r.URL.Query().Get("pageToken") == "two" {
		page = `{"models":[{"name":"models/gemini-b","displayName":"Gemini B","supportedGenerationMethods":["generateContent"]}]}`
	}
	_, _ = w.Write([]byte(page))
}

type part struct {
	Text             string
	ThoughtSignature string
	FunctionCall     *struct{ Name string }
	FunctionResponse *struct{ Name string }
}

type request struct {
	Contents []struct {
		Role  string
		Parts []part
	}
	Tools []struct {
		FunctionDeclarations []struct{ Name string }
	}
}

// check returns the error message for a request that the API rejects, or an empty string.
func (r *request) check() string {
	if len(r.Contents) == 0 || r.Contents[0].Role != "user" {
		return "Please ensure that the conversation begins with a user turn."
	}
	calls := 0
	for i, c := range r.Contents {
		if i > 0 && r.Contents[i-1].Role == c.Role {
			return "Please ensure that roles alternate."
		}
		responses := 0
		for _, p := range c.Parts {
			if p.FunctionResponse != nil {
				responses++
				if p.FunctionResponse.Name == "" {
					return "GenerateContentRequest.contents.parts.function_response.name: Name cannot be empty."
				}
			}
		}
		if responses != calls {
			return "Please ensure that the number of function response parts is equal to the number of function call parts of " +
				"the function call turn."
		}
		calls = 0
		for _, p := range c.Parts {
			if p.FunctionCall != nil {
				calls++
			}
		}
	}
	return ""
}

func generate(w http.ResponseWriter, r *http.Request, body string) {
	var req request
	if err := json.Unmarshal([]byte(body), &req); err != nil {
		sendError(w, 400, "INVALID_ARGUMENT", err.Error(), "")
		return
	}
	if issue := req.check(); issue != "" {
		sendError(w, 400, "INVALID_ARGUMENT", issue, "")
		return
	}
	parts := req.Contents[len(req.Contents)-1].Parts
	last := parts[len(parts)-1]
	switch last.Text {
	case "limited":
		sendError(w, 429, "RESOURCE_EXHAUSTED", "You exceeded your current quota",
			`{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"7s"}`)
		return
	case "overloaded":
		sendError(w, 503, "UNAVAILABLE", "The model is overloaded. Please try again later.", "")
		return
	case "long":
		sendError(w, 400, "INVALID_ARGUMENT",
			"The input token count (2000000) exceeds the maximum number of tokens allowed (1048576).", "")
		return
	case "silent":
		<-r.Context().Done()
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	s := &sse{w: w, r: r}
	s.answer(last)
}

type sse struct {
	w http.ResponseWriter
	r *http.Request
}

func (s *sse) send(parts, reason string) {
	finish := ""
	if reason != "" {
		finish = fmt.Sprintf(`,"finishReason":%q`, reason)
	}
	s.raw(fmt.Sprintf(`{"candidates":[{"content":{"role":"model","parts":[%s]}%s,"index":0}],"usageMetadata":{"promptTokenCount":12,"candidatesTokenCount":4,"thoughtsTokenCount":3,"cachedContentTokenCount":5,"totalTokenCount":19},"modelVersion":"gemini-a-001","responseId":"r1"}`,
		parts, finish))
}

func (s *sse) raw(data string) { remotetest.Write(s.w, "data: "+data+"\r\n\r\n") }

func (s *sse) answer(last part) {
	switch {
	case last.FunctionResponse != nil:
		s.send(`{"text":"It is "}`, "")
		s.send(`{"text":"5."}`, "STOP")
	case last.Text == "tool":
		s.send(`{"functionCall":{"name":"plugintest_add","args":{"a":2,"b":3}},"thoughtSignature":"c2lnbmVk"}`, "")
		s.send(`{"functionCall":{"name":"plugintest_add","args":{"a":4,"b":5}}}`, "STOP")
	case last.Text == "think":
		s.send(`{"text":"Hm.","thought":true}`, "")
		s.send(`{"text":"Yes."}`, "STOP")
	case last.Text == "slow":
		for range 100 {
			s.send(`{"text":"word "}`, "")
			select {
			case <-time.After(100 * time.Millisecond):
			case <-s.r.Context().Done():
				return
			}
		}
		s.send(`{"text":"."}`, "STOP")
	case last.Text == "blocked":
		s.raw(`{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"usageMetadata":{"promptTokenCount":12}}`)
	case last.Text == "fails midway":
		s.send(`{"text":"Well"}`, "")
		s.raw(`{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}`)
	case last.Text == "connection lost":
		s.send(`{"text":"Well"}`, "")
		remotetest.CloseConnection(s.w)
	case last.Text == "ends early":
		s.send(`{"text":"Well"}`, "")
	case strings.HasPrefix(last.Text, "stop "):
		s.send(`{"text":"x"}`, strings.TrimPrefix(last.Text, "stop "))
	default:
		s.send(`{"text":"Hello"}`, "")
		s.send(`{"text":" there."}`, "STOP")
	}
}
