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

// longestAnswer bounds the bytes of an answer that is not streamed.
const longestAnswer = 32 << 20

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
		err = p.unavailable("answered with a web page; check base_url in plugins.hcl, which usually ends in /v1")
	default:
		// Some servers don't stream although they were asked to.
		c.extend(p.config.AnswerTimeout)
		err = c.readWhole(res.Body, &answer)
	}
	if err != nil {
		return nil, c.failure(err)
	}
	return answer.finish(), nil
}

func (c *call) readWhole(body io.Reader, a *answer) error {
	b, err := io.ReadAll(io.LimitReader(body, longestAnswer+1))
	if err != nil {
		return err
	}
	if len(b) > longestAnswer {
		return c.p.unavailable("sent an answer of more than 32 MiB")
	}
	return c.take(a, b, "message")
}

// readStream reads server-sent events up to [DONE]. The stream that ends
// without a finish reason was cut.
func (c *call) readStream(body io.Reader, a *answer) error {
	lines := newLines(body)
	_, _ = lines.in.Peek(1) // next gives its error again
	c.timer.Stop()
	for {
		data, err := lines.next()
		switch {
		case err != nil && a.reason != "" && c.ctx.Err() == nil:
			// The answer is whole; at worst the count of its tokens is lost.
			return nil
		case errors.Is(err, io.EOF):
			return errCut
		case err != nil:
			return err
		case string(data) == "[DONE]":
			if a.reason == "" {
				return errCut
			}
			c.drain(body)
			return nil
		}
		if err := c.take(a, data, "delta"); err != nil {
			return err
		}
	}
}

// drain reads the end of a body, without which its connection is not used
// again. A server that keeps it open is not waited for.
func (c *call) drain(body io.Reader) {
	c.timer.Reset(50 * time.Millisecond)
	_, _ = io.Copy(io.Discard, io.LimitReader(body, 4<<10))
}

// finish tells how the answer ended.
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
		// Some servers say stop, or a word of their own, after tool calls too.
		if len(a.calls) > 0 {
			f.Reason = llm.FinishToolCalls
		}
	}
	return f
}

// unavailable says that the server failed, by its name.
func (p *provider) unavailable(what string) *sdk.Error {
	return &sdk.Error{Code: sdk.CodeUnavailable, Message: p.host + " " + what, Retryable: true}
}
