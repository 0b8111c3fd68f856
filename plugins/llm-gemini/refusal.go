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

// failed translates what the SDK gave.
func (p *provider) failed(ctx context.Context, err error) error {
	var refused genai.APIError
	if !errors.As(err, &refused) {
		return p.server.Failed(ctx, err)
	}
	r := remote.Refusal{Status: refused.Code, Message: refused.Message}
	for _, d := range refused.Details {
		if reason, _ := d["reason"].(string); reason == "API_KEY_INVALID" {
			r.Code = sdk.CodeUnauthorized
		}
		// google.rpc.RetryInfo has a duration like 17s.
		if delay, ok := d["retryDelay"].(string); ok {
			r.RetryAfter, _ = time.ParseDuration(delay)
		}
	}
	if strings.Contains(refused.Message, "API key not valid") {
		r.Code = sdk.CodeUnauthorized
	}
	return p.server.Refused(r)
}
