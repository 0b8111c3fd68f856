package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/agentarea/agentarea/sdk"
)

// longestRefusal bounds what is read of an error's body.
const longestRefusal = 64 << 10

var errSlow = errors.New("no answer in time")

// call is one request to the server, with its retries.
type call struct {
	p      *provider
	parent context.Context
	// ctx ends with parent, or when the server is too slow.
	ctx    context.Context
	cancel context.CancelCauseFunc
	// timer cancels ctx when a try has waited for limit.
	timer *time.Timer
	limit time.Duration
	// refused is what the last try was answered with, when that was an error.
	refused *sdk.Error
}

func (p *provider) newCall(ctx context.Context, limit time.Duration) *call {
	c := &call{p: p, parent: ctx, limit: limit}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	c.timer = time.AfterFunc(limit, func() { c.cancel(errSlow) })
	return c
}

func (c *call) close() {
	c.timer.Stop()
	c.cancel(nil)
}

// extend gives the try that is under way more time.
func (c *call) extend(limit time.Duration) {
	c.limit = limit
	c.timer.Reset(limit)
}

// complete asks for an answer. It gives the response of the first try that
// succeeds, its body unread, or an *sdk.Error.
func (c *call) complete(body []byte) (*http.Response, error) {
	var res *http.Response
	_, err := c.p.completions.New(c.ctx, openai.ChatCompletionNewParams{},
		option.WithRequestBody("application/json", body), option.WithResponseBodyInto(&res), option.WithMiddleware(c.try))
	if err != nil {
		return nil, c.failure(err)
	}
	return res, nil
}

// listModels is complete's sister for the list of models.
func (c *call) listModels() (*http.Response, error) {
	var res *http.Response
	_, err := c.p.list.List(c.ctx, option.WithResponseBodyInto(&res), option.WithMiddleware(c.try))
	if err != nil {
		return nil, c.failure(err)
	}
	return res, nil
}

// try stands between the SDK's retries and each request. A try that is too slow
// ends the call: to wait for as long again helps nobody.
func (c *call) try(req *http.Request, next option.MiddlewareNext) (*http.Response, error) {
	c.refused = nil
	c.timer.Reset(c.limit)
	res, err := next(req)
	if err != nil {
		c.timer.Stop()
		return res, err
	}
	if res.StatusCode < http.StatusBadRequest {
		return res, nil
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, longestRefusal))
	c.timer.Stop()
	_ = res.Body.Close()
	if err != nil && len(body) == 0 {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	c.refused = c.p.refusal(res.StatusCode, res.Header, body)
	if !c.refused.Retryable {
		res.Header.Set("X-Should-Retry", "false")
	}
	return res, nil
}

// failure says in the SDK's words why the call failed.
func (c *call) failure(err error) *sdk.Error {
	var known *sdk.Error
	var network *url.Error
	switch {
	case c.parent.Err() != nil:
		return c.p.left(c.parent)
	case errors.Is(context.Cause(c.ctx), errSlow):
		return &sdk.Error{
			Code: sdk.CodeTimeout, Retryable: true,
			Message: c.p.host + " sent nothing for " + c.limit.String() + "; the timeouts are in plugins.hcl",
		}
	case errors.As(err, &known):
		return known
	case c.refused != nil:
		return c.refused
	case errors.As(err, &network):
		return c.p.unavailable("can't be reached (start it, or correct base_url in plugins.hcl): " + c.p.server.Redact(network.Err.Error()))
	case errors.Is(err, errMalformed), errors.Is(err, errLongLine):
		return c.p.unavailable("can't be understood: " + err.Error())
	default:
		// The rest are failures to read a body.
		return c.p.unavailable("failed: " + errCut.Error())
	}
}

// left says that the caller's ctx has ended.
func (p *provider) left(ctx context.Context) *sdk.Error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &sdk.Error{Code: sdk.CodeTimeout, Message: p.host + " did not finish in time"}
	}
	return &sdk.Error{Code: sdk.CodeCancelled, Message: "nobody waits for the answer any more"}
}
