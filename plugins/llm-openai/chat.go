package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
)

// maxAnswerBytes is the maximum size of an answer that is not streamed.
const maxAnswerBytes = 32 << 20

// Chat implements llm.Provider.
func (p *provider) Chat(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
	body, err := p.encode(req)
	if err != nil {
		return nil, err
	}
	limit := p.config.AnswerTimeout
	if req.Stream {
		limit = p.config.Timeout
	}
	c := p.newCall(ctx, limit)
	defer c.close()
	res, err := c.complete(body)
	if err != nil && p.rejectsStreamOptions(body, err) {
		if body, err = p.encode(req); err != nil {
			return nil, err
		}
		res, err = c.complete(body)
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	answer := answer{out: out}
	if err := c.read(res, &answer); err != nil {
		return nil, c.wrapProviderError(err)
	}
	return answer.finish(), nil
}

// rejectsStreamOptions reports whether the server rejected a request because of stream_options. Later requests
// omit them.
func (p *provider) rejectsStreamOptions(body []byte, err error) bool {
	var e *sdk.Error
	if !errors.As(err, &e) || e.Code != sdk.CodeInvalidRequest || !bytes.Contains(body, []byte(`"stream_options":`)) ||
		!strings.Contains(e.Message, "stream_options") && !strings.Contains(e.Message, "include_usage") {
		return false
	}
	p.noStreamOptions.Store(true)
	return true
}

// read reads the body of a response, whose format it detects.
func (c *call) read(res *http.Response, a *answer) error {
	if mediaType(res.Header) == "application/json" {
		// Some servers ignore the request to stream, and answer when the answer is complete.
		c.extend(c.p.config.AnswerTimeout)
	}
	body := bufio.NewReader(res.Body)
	switch detectFormat(res.Header, body) {
	case formatEvents:
		return c.readStream(body, a)
	case formatHTML:
		return c.p.malformed("responded with a web page; check base_url in plugins.hcl, which usually ends in /v1")
	default:
		return c.readComplete(body, a)
	}
}

// readComplete reads an answer that is not streamed.
func (c *call) readComplete(body io.Reader, a *answer) error {
	b, err := io.ReadAll(io.LimitReader(body, maxAnswerBytes+1))
	if err != nil {
		return err
	}
	if len(b) > maxAnswerBytes {
		return c.p.malformed("sent an answer of more than 32 MiB")
	}
	if !validJSON(b) {
		return errMalformed
	}
	if err := c.addChunk(a, b, "message"); err != nil {
		return err
	}
	return a.end()
}

// readStream reads server-sent events up to [DONE]. A stream that ends without [DONE] and without a finish reason
// is an error.
func (c *call) readStream(body *bufio.Reader, a *answer) error {
	events := newEventReader(body)
	c.timer.Stop()
	for {
		data, err := events.next()
		switch {
		case err != nil && a.reason != "" && c.ctx.Err() == nil:
			// The answer is complete. At worst the usage is missing.
			return a.end()
		case errors.Is(err, io.EOF):
			return errTruncated
		case err != nil:
			return err
		case isDone(data):
			c.drain(body)
			return a.end()
		case events.isError():
			return c.p.providerError(0, nil, data)
		}
		if err := c.addChunk(a, data, "delta"); err != nil {
			return err
		}
	}
}

// drain reads the rest of a body, so that its connection can be reused. It waits only
// briefly, for a server that keeps the body open.
func (c *call) drain(body io.Reader) {
	c.timer.Reset(50 * time.Millisecond)
	_, _ = io.Copy(io.Discard, io.LimitReader(body, 4<<10))
}

// finish returns the reason, usage and model of the answer.
func (a *answer) finish() *llm.Finish {
	f := &llm.Finish{Reason: llm.FinishStop, Usage: a.usage, Model: strings.ToValidUTF8(a.model, "")}
	switch a.reason {
	case "length":
		f.Reason = llm.FinishLength
	case "content_filter":
		f.Reason = llm.FinishContentFilter
	case "tool_calls", "function_call":
		f.Reason = llm.FinishToolCalls
	default:
		// Some servers use "stop" or a reason of their own after tool calls, too.
		if len(a.calls) > 0 {
			f.Reason = llm.FinishToolCalls
		}
	}
	return f
}

// unavailable returns a retryable error about the server. The message starts with the
// server's name.
func (p *provider) unavailable(problem string) *sdk.Error {
	return &sdk.Error{Code: sdk.CodeUnavailable, Message: p.host + " " + problem, Retryable: true}
}

// malformed returns the error of a response that cannot be used. It is not retryable, because the answer has been
// paid for, and another one would likely be the same.
func (p *provider) malformed(problem string) *sdk.Error {
	e := p.unavailable(problem)
	e.Retryable = false
	return e
}
