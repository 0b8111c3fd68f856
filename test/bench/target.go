package main

import (
	"bytes"
	"fmt"
	"strconv"
	"sync/atomic"
)

// tokenMark is the beginning of each token of the upstream's answers: " t0 t1 t2".
var tokenMark = []byte(" t")

// turn is one request.
type turn struct {
	// session is the session of the turn, for targets that have sessions.
	session string
	stream  bool
}

// event is the meaning of a line of a stream.
type event int

const (
	otherEvent event = iota
	tokenEvent
	endEvent
	errorEvent
)

// target is a measured program.
type target interface {
	name() string
	// address is the address on which it listens.
	address() string
	// request appends a turn's request to b.
	request(b []byte, t turn) []byte
	kind(line []byte) event
	// pid is the process whose CPU time counts, with its children. It is 0 for none.
	pid() int
}

const message = `Tell me about the weather in Lisbon in May, and what to pack for a week.`

// openai is the upstream, or the proxy in front of it.
type openai struct {
	label, addr string
	process     *process
}

func (o *openai) name() string    { return o.label }
func (o *openai) address() string { return o.addr }
func (o *openai) pid() int        { return o.process.pid() }

func (o *openai) request(b []byte, t turn) []byte {
	more := ""
	if t.stream {
		more = `,"stream":true,"stream_options":{"include_usage":true}`
	}
	body := fmt.Sprintf(`{"model":"gpt-4o-mini","messages":[{"role":"user","content":%q}]%s}`, message, more)
	return post(b, "/v1/chat/completions", o.addr, "bench", body)
}

func (o *openai) kind(line []byte) event {
	switch {
	case bytes.Contains(line, []byte(`"content":" t`)):
		return tokenEvent
	case bytes.HasPrefix(line, []byte("data: [DONE]")):
		return endEvent
	case bytes.HasPrefix(line, []byte(`data: {"error"`)):
		return errorEvent
	default:
		return otherEvent
	}
}

// agentarea is the server.
type agentarea struct {
	addr, agent string
	// token is the access token, which is renewed while the bench runs.
	token   atomic.Pointer[string]
	process *process
}

func (a *agentarea) name() string    { return "server" }
func (a *agentarea) address() string { return a.addr }
func (a *agentarea) pid() int        { return a.process.pid() }

func (a *agentarea) request(b []byte, t turn) []byte {
	body := fmt.Sprintf(`{"message":%q,"session_id":%q,"stream":%t}`, message, t.session, t.stream)
	return post(b, "/v1/agents/"+a.agent+"/chat", a.addr, *a.token.Load(), body)
}

func (a *agentarea) kind(line []byte) event {
	if !bytes.HasPrefix(line, []byte("data:")) {
		return otherEvent
	}
	// The type is the first field in every event, with or without a space before it.
	head := line[:min(len(line), 40)]
	switch {
	case bytes.Contains(head, []byte(`"token"`)):
		return tokenEvent
	case bytes.Contains(head, []byte(`"end"`)):
		return endEvent
	case bytes.Contains(head, []byte(`"error"`)):
		return errorEvent
	default:
		return otherEvent
	}
}

func post(b []byte, path, host, token, body string) []byte {
	b = append(b, "POST "+path+" HTTP/1.1\r\nHost: "+host+"\r\nAuthorization: Bearer "+token+
		"\r\nContent-Type: application/json\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(body)), 10)
	return append(append(b, "\r\n\r\n"...), body...)
}
