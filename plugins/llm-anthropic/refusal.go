package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/anthropics/anthropic-sdk-go"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm/remote"
)

// statuses are those of the API's errors. An event in a stream has the type alone.
var statuses = map[string]int{
	"invalid_request_error": http.StatusBadRequest, "authentication_error": http.StatusUnauthorized,
	"billing_error": http.StatusPaymentRequired, "permission_error": http.StatusForbidden, "not_found_error": http.StatusNotFound,
	"request_too_large": http.StatusRequestEntityTooLarge, "rate_limit_error": http.StatusTooManyRequests,
	"api_error": http.StatusInternalServerError, "timeout_error": http.StatusGatewayTimeout, "overloaded_error": 529,
}

// failed translates what the SDK gave.
func (p *provider) failed(ctx context.Context, err error) error {
	var refused *anthropic.Error
	if !errors.As(err, &refused) {
		return p.server.Failed(ctx, err)
	}
	var body struct {
		Error struct{ Type, Message string }
	}
	_ = json.Unmarshal([]byte(refused.RawJSON()), &body) // a gateway's page is none
	r := remote.Refusal{Status: refused.StatusCode, Message: body.Error.Message}
	if status, ok := statuses[body.Error.Type]; ok {
		r.Status = status
	}
	if r.Status == http.StatusPaymentRequired {
		r.Code = sdk.CodeUnauthorized
	}
	if refused.Response != nil {
		r.RetryAfter = remote.RetryAfter(refused.Response.Header)
	}
	return p.server.Refused(r)
}
