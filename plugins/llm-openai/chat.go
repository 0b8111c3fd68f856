package main

import (
	"context"
	"errors"
	"io"
	"mime"
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
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()

	answer := answer{out: out}
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	switch {
	case media == "text/event-stream":
		err = c.readStream(res.Body, &answer)
	case media == "text/html":
		err = p.unavailable("responded with a web page; check base_url in plugins.hcl, which usually ends in /v1")
	default:
		// Some servers ignore the request to stream.
		c.extend(p.config.AnswerTimeout)
		err = c.readComplete(res.Body, &answer)
	}
	if err != nil {
		return nil, c.wrapProviderError(err)
	}
	return answer.finish(), nil
}

// readComplete reads an answer that is not streamed.
func (c *call) readComplete(body io.Reader, a *answer) error {
	b, err := io.ReadAll(io.LimitReader(body, maxAnswerBytes+1))
	if err != nil {
		return err
	}
	if len(b) > maxAnswerBytes {
		return c.p.unavailable("sent an answer of more than 32 MiB")
	}
	return c.addChunk(a, b, "message")
}

// readStream reads server-sent events up to [DONE]. A stream that ends without a finish
// reason is an error.
func (c *call) readStream(body io.Reader, a *answer) error {
	events := newEventReader(body)
	_, _ = events.in.Peek(1) // next returns the same error
	c.timer.Stop()
	for {
		data, err := events.next()
		switch {
		case err != nil && a.reason != "" && c.ctx.Err() == nil:
			// The answer is complete. At worst the usage is missing.
			return nil
		case errors.Is(err, io.EOF):
			return errTruncated
		case err != nil:
			return err
		case string(data) == "[DONE]":
			if a.reason == "" {
				return errTruncated
			}
			c.drain(body)
			return nil
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
