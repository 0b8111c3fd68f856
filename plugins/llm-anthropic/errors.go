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

// statusByType maps the API's error types to their HTTP statuses, because an error event in
// a stream only has a type.
var statusByType = map[string]int{
	"invalid_request_error": http.StatusBadRequest, "authentication_error": http.StatusUnauthorized,
	"billing_error":    http.StatusPaymentRequired,
	"permission_error": http.StatusForbidden, "not_found_error": http.StatusNotFound,
	"request_too_large": http.StatusRequestEntityTooLarge, "rate_limit_error": http.StatusTooManyRequests,
	"api_error": http.StatusInternalServerError, "timeout_error": http.StatusGatewayTimeout, "overloaded_error": 529,
}

// wrapProviderError translates an error of the SDK.
func (p *provider) wrapProviderError(ctx context.Context, err error) error {
	var apiErr *anthropic.Error
	if !errors.As(err, &apiErr) {
		return p.server.TransportError(ctx, err)
	}
	var body struct {
		Error struct{ Type, Message string }
	}
	_ = json.Unmarshal([]byte(apiErr.RawJSON()), &body) // a gateway may respond with a web page
	r := remote.ErrorResponse{Status: apiErr.StatusCode, Message: body.Error.Message}
	if status, ok := statusByType[body.Error.Type]; ok {
		r.Status = status
	}
	if r.Status == http.StatusPaymentRequired {
		r.Code = sdk.CodeUnauthorized
	}
	if apiErr.Response != nil {
		r.RetryAfter = remote.RetryAfter(apiErr.Response.Header)
	}
	return p.server.ResponseError(r)
}
