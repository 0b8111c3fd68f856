package main

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm/remote"
)

// providerError translates an error of the server: an error response, or an error event of
// a stream, for which status is 0 and header is nil.
func (p *provider) providerError(status int, header http.Header, body []byte) *sdk.Error {
	e, ok := remote.ParseError(body)
	if !ok {
		e.Message = remote.PlainError(body)
	}
	message, errorType := e.Message, e.Type
	if status < http.StatusBadRequest {
		status = e.Status
	}
	out := p.server.ResponseError(remote.ErrorResponse{
		Status: status, Message: message, RetryAfter: remote.RetryAfter(header),
		Code: errorCode(status, errorType, strings.ToLower(message)),
	})
	quoted := p.server.Excerpt(message)
	switch out.Code {
	case sdk.CodeUnauthorized:
		out.Message = p.unauthorizedMessage(status, quoted)
	case sdk.CodeRateLimited:
		if strings.Contains(errorType, "insufficient_quota") {
			out.Message = p.host + " has no credit left for this API key" + quoted
			out.Retryable, out.RetryAfter = false, 0
		}
	case sdk.CodeNotFound:
		if !strings.Contains(errorType+strings.ToLower(message), "model") {
			out.Message = p.host + " has no such path" + quoted + "; check base_url in plugins.hcl, which usually ends in /v1"
		}
	case sdk.CodeInvalidRequest:
		out.Message = fmt.Sprintf("%s rejected the request with status %d%s", p.host, status, quoted)
	default: // ResponseError has set the message.
	}
	return out
}

// errorCode maps the status to a code. For a bad request it also uses the provider's code
// and type, and the message, in which compatible servers give more detail.
func errorCode(status int, errorType, message string) sdk.ErrorCode {
	has := func(s string, parts ...string) bool {
		for _, part := range parts {
			if strings.Contains(s, part) {
				return true
			}
		}
		return false
	}
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return sdk.CodeUnauthorized
	case status == http.StatusTooManyRequests, has(errorType, "rate_limit", "insufficient_quota"):
		return sdk.CodeRateLimited
	case status == http.StatusRequestTimeout, status == http.StatusGatewayTimeout:
		return sdk.CodeTimeout
	case has(errorType, "context_length", "exceed_context"), status < 500 &&
		has(message, "context length", "context size", "context window"):
		return sdk.CodeContextTooLong
	case has(errorType, "content_filter", "content_policy"):
		return sdk.CodeContentFilter
	case status == http.StatusNotFound, has(errorType, "model_not_found"):
		return sdk.CodeNotFound
	case status == http.StatusConflict, status >= 500, status == 0 && !has(errorType, "invalid_request"):
		return sdk.CodeUnavailable
	default:
		return sdk.CodeInvalidRequest
	}
}

// unauthorizedMessage returns the message for a 401 or 403 response. It omits the server's
// message for a 401, because OpenAI's contains parts of the key.
func (p *provider) unauthorizedMessage(status int, quoted string) string {
	switch {
	case status == http.StatusForbidden:
		return p.host + " denied access for this API key; check api_key in plugins.hcl" + quoted
	case p.config.APIKey == "":
		return p.host + " requires an API key; set api_key in plugins.hcl"
	default:
		return p.host + " rejected the API key; check api_key in plugins.hcl"
	}
}
