package openaitest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

func (s *Server) chat(w http.ResponseWriter, r *http.Request) {
	if s.opts.Tokens > 0 {
		s.bench(w, r)
		return
	}
	req, e := readRequest(r)
	status := http.StatusBadRequest
	if e == nil {
		status, e = s.check(req)
	}
	if req != nil {
		s.mu.Lock()
		s.requests = append(s.requests, req)
		s.mu.Unlock()
	}
	if e != nil {
		writeError(w, status, e)
		return
	}
	reply := s.next(req)
	for name, values := range reply.Header {
		w.Header()[name] = values
	}
	if reply.Status != 0 && reply.Status != http.StatusOK {
		writeError(w, reply.Status, reply.Error)
		return
	}
	if reply.Usage == nil {
		reply.Usage = count(req, &reply)
	}
	if reply.FinishReason == "" {
		reply.FinishReason = "stop"
		if len(reply.ToolCalls) > 0 {
			reply.FinishReason = "tool_calls"
		}
	}
	id := fmt.Sprintf("chatcmpl-%029d", s.serial.Load())
	if req.Stream {
		s.stream(w, r, req, &reply, id)
		return
	}
	s.respond(w, r, req, &reply, id)
}

// respond sends an answer that is not streamed.
func (s *Server) respond(w http.ResponseWriter, r *http.Request, req *Request, reply *Reply, id string) {
	if !s.wait(r, reply.Delay) {
		return
	}
	switch reply.Fault {
	case None, End:
	case Cut:
		panic(http.ErrAbortHandler)
	case Malformed:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"id": "chatcmpl-`))
		return
	case Hang:
		s.hang(r)
		return
	case ErrorEvent:
		writeError(w, http.StatusInternalServerError, reply.Error)
		return
	}
	message := map[string]any{"role": "assistant", "content": nil, "refusal": nil, "annotations": []any{}}
	if reply.Content != "" || len(reply.ToolCalls) == 0 {
		message["content"] = reply.Content
	}
	if reply.Reasoning != "" {
		message["reasoning_content"] = reply.Reasoning
	}
	var calls []any
	for _, c := range reply.ToolCalls {
		calls = append(calls, map[string]any{
			"id": c.ID, "type": "function", "function": map[string]any{"name": c.Name, "arguments": c.Arguments},
		})
	}
	if calls != nil {
		message["tool_calls"] = calls
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"id": id, "object": "chat.completion", "created": time.Now().Unix(), "model": req.Model, "service_tier": "default",
		"system_fingerprint": "fp_44709d6fcb", "usage": reply.Usage,
		"choices": []any{map[string]any{
			"index": 0, "message": message, "logprobs": nil, "finish_reason": reply.FinishReason,
		}},
	})
}

// wait waits for d. It returns false early if the client disconnects or the server is closed.
func (s *Server) wait(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.Context().Done():
	case <-s.closed:
	}
	return false
}

func (s *Server) hang(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-s.closed:
	}
	panic(http.ErrAbortHandler)
}

func count(req *Request, reply *Reply) *Usage {
	u := &Usage{PromptTokens: int64(promptTokens(req)), CompletionTokens: int64(len(words(reply.Content)))}
	u.CompletionTokensDetails.ReasoningTokens = int64(len(words(reply.Reasoning)))
	u.CompletionTokens += u.CompletionTokensDetails.ReasoningTokens
	for _, c := range reply.ToolCalls {
		u.CompletionTokens += int64(len(pieces(c.Arguments)))
	}
	u.TotalTokens = u.PromptTokens + u.CompletionTokens
	return u
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	b, err := json.MarshalIndent(body, "", "  ")
	if err != nil {
		panic("openaitest: " + err.Error())
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}

func writeError(w http.ResponseWriter, status int, e *Error) {
	writeJSON(w, status, errorBody(e))
}

func errorBody(e *Error) any {
	if e == nil {
		e = &Error{Message: "The server had an error while processing your request. Sorry about that!", Type: "server_error"}
	}
	return map[string]any{"error": map[string]any{
		"message": e.Message, "type": e.Type, "param": orNull(e.Param), "code": orNull(e.Code),
	}}
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}
