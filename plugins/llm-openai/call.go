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

// maxErrorBody is the maximum size of an error's body, in bytes. The rest is ignored.
const maxErrorBody = 64 << 10

var errTimeout = errors.New("the server did not respond in time")

// call is one request to the server, including its retries.
type call struct {
	p      *provider
	parent context.Context
	// ctx ends with parent, or when the server takes too long.
	ctx    context.Context
	cancel context.CancelCauseFunc
	// timer cancels ctx when an attempt has waited for limit.
	timer *time.Timer
	limit time.Duration
	// lastError is the error response of the last attempt, or nil.
	lastError *sdk.Error
}

// newCall returns a call whose attempts may each wait for limit. The caller must close it.
func (p *provider) newCall(ctx context.Context, limit time.Duration) *call {
	c := &call{p: p, parent: ctx, limit: limit}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	c.timer = time.AfterFunc(limit, func() { c.cancel(errTimeout) })
	return c
}

// close releases the call's timer and context.
func (c *call) close() {
	c.timer.Stop()
	c.cancel(nil)
}

// extend restarts the timer of the current attempt with a new limit.
func (c *call) extend(limit time.Duration) {
	c.limit = limit
	c.timer.Reset(limit)
}

// complete requests a completion. It returns the response of the first successful attempt
// with an unread body, or an *sdk.Error.
func (c *call) complete(body []byte) (*http.Response, error) {
	var res *http.Response
	_, err := c.p.completions.New(c.ctx, openai.ChatCompletionNewParams{},
		option.WithRequestBody("application/json", body), option.WithResponseBodyInto(&res), option.WithMiddleware(c.attempt))
	if err != nil {
		return nil, c.wrapProviderError(err)
	}
	return res, nil
}

// listModels requests the list of models. Its result is that of complete.
func (c *call) listModels() (*http.Response, error) {
	var res *http.Response
	_, err := c.p.list.List(c.ctx, option.WithResponseBodyInto(&res), option.WithMiddleware(c.attempt))
	if err != nil {
		return nil, c.wrapProviderError(err)
	}
	return res, nil
}

// attempt is the SDK's middleware for each attempt. An attempt that takes too long ends the
// call, because another one would likely take as long.
func (c *call) attempt(req *http.Request, next option.MiddlewareNext) (*http.Response, error) {
	c.lastError = nil
	c.timer.Reset(c.limit)
	res, err := next(req)
	if err != nil {
		c.timer.Stop()
		return res, err
	}
	if res.StatusCode < http.StatusBadRequest {
		return res, nil
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxErrorBody))
	c.timer.Stop()
	_ = res.Body.Close()
	if err != nil && len(body) == 0 {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	c.lastError = c.p.providerError(res.StatusCode, res.Header, body)
	if !c.lastError.Retryable {
		res.Header.Set("X-Should-Retry", "false")
	}
	return res, nil
}

// wrapProviderError translates an error of the call into an error of the plugin SDK.
func (c *call) wrapProviderError(err error) *sdk.Error {
	var sdkErr *sdk.Error
	var urlErr *url.Error
	switch {
	case c.parent.Err() != nil:
		return c.p.contextError(c.parent)
	case errors.Is(context.Cause(c.ctx), errTimeout):
		return &sdk.Error{
			Code: sdk.CodeTimeout, Retryable: true,
			Message: c.p.host + " did not respond within " + c.limit.String() +
				"; set timeout and answer_timeout in plugins.hcl to wait longer",
		}
	case errors.As(err, &sdkErr):
		return sdkErr
	case c.lastError != nil:
		return c.lastError
	case errors.As(err, &urlErr):
		return c.p.server.TransportError(c.parent, urlErr)
	case errors.Is(err, errMalformed), errors.Is(err, errLongLine), errors.Is(err, errManyCalls):
		return c.p.malformed("sent an invalid response: " + err.Error())
	default:
		// All other errors are errors of reading the body.
		return c.p.unavailable("failed: " + errTruncated.Error())
	}
}

// contextError returns the error for a context that has ended.
func (p *provider) contextError(ctx context.Context) *sdk.Error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &sdk.Error{Code: sdk.CodeTimeout, Message: p.host + " did not finish before the run's timeout"}
	}
	return &sdk.Error{Code: sdk.CodeCancelled, Message: "the request was cancelled"}
}
