package openaitest

import (
	"encoding/json"
	"net/http"
	"time"
)

type object = map[string]any

// stream sends the reply as server-sent events, with one chunk for each piece.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, req *Request, reply *Reply, id string) {
	if reply.Fault == Hang && reply.FaultAfter == 0 {
		s.hang(r)
	}
	if reply.Fault == Cut && reply.FaultAfter == 0 {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	w.WriteHeader(http.StatusOK)
	c := chunker{
		w: w, rc: http.NewResponseController(w), id: id, model: req.Model,
		created: time.Now().Unix(), usage: req.includeUsage(),
	}

	c.delta(object{"role": "assistant", "content": "", "refusal": nil}, nil)
	for i, delta := range deltas(reply) {
		if reply.Fault != None && i == reply.FaultAfter {
			break
		}
		if !s.wait(r, reply.Delay) {
			return
		}
		c.delta(delta, nil)
	}
	switch reply.Fault {
	case None:
	case Cut:
		panic(http.ErrAbortHandler)
	case Malformed:
		c.data(`{"id":"chatcmpl-`)
		return
	case Hang:
		s.hang(r)
	case ErrorEvent:
		c.json(errorBody(reply.Error))
		return
	case End:
		return
	}
	c.delta(object{}, reply.FinishReason)
	if c.usage {
		c.json(c.chunk([]any{}, reply.Usage))
	}
	c.data("[DONE]")
}

// deltas returns the reply's pieces in order.
func deltas(reply *Reply) []object {
	var out []object
	for _, word := range words(reply.Reasoning) {
		out = append(out, object{"reasoning_content": word})
	}
	for _, word := range words(reply.Content) {
		out = append(out, object{"content": word})
	}
	for i, call := range reply.ToolCalls {
		out = append(out, object{"tool_calls": []any{object{
			"index": i, "id": call.ID, "type": "function", "function": object{"name": call.Name, "arguments": ""},
		}}})
		for _, piece := range pieces(call.Arguments) {
			out = append(out, object{"tool_calls": []any{object{"index": i, "function": object{"arguments": piece}}}})
		}
	}
	return out
}

// chunker writes the events of one stream.
type chunker struct {
	w         http.ResponseWriter
	rc        *http.ResponseController
	id, model string
	created   int64
	// usage means that every chunk has the field usage, which is null in all but the last.
	usage bool
}

func (c *chunker) delta(delta object, finish any) {
	c.json(c.chunk([]any{object{"index": 0, "delta": delta, "logprobs": nil, "finish_reason": finish}}, nil))
}

func (c *chunker) chunk(choices []any, usage *Usage) object {
	o := object{
		"id": c.id, "object": "chat.completion.chunk", "created": c.created, "model": c.model,
		"service_tier": "default", "system_fingerprint": "fp_44709d6fcb", "choices": choices,
	}
	if c.usage {
		o["usage"] = usage
	}
	return o
}

func (c *chunker) json(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic("openaitest: " + err.Error())
	}
	c.data(string(b))
}

// data sends one event. It ignores errors, because the request's context ends when the client disconnects.
func (c *chunker) data(s string) {
	_, _ = c.w.Write([]byte("data: " + s + "\n\n"))
	_ = c.rc.Flush()
}
