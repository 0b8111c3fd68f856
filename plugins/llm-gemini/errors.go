package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"google.golang.org/genai"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm/remote"
)

// wrapProviderError translates an error of the SDK.
func (p *provider) wrapProviderError(ctx context.Context, err error) error {
	var apiErr genai.APIError
	if !errors.As(err, &apiErr) {
		return p.server.TransportError(ctx, err)
	}
	r := remote.ErrorResponse{Status: apiErr.Code, Message: apiErr.Message}
	for _, d := range apiErr.Details {
		if reason, _ := d["reason"].(string); reason == "API_KEY_INVALID" {
			r.Code = sdk.CodeUnauthorized
		}
		// google.rpc.RetryInfo has a duration such as "17s".
		if delay, ok := d["retryDelay"].(string); ok {
			r.RetryAfter, _ = time.ParseDuration(delay)
		}
	}
	if strings.Contains(apiErr.Message, "API key not valid") {
		r.Code = sdk.CodeUnauthorized
	}
	return p.server.ResponseError(r)
}
