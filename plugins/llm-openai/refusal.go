package main

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm/remote"
)

// refusal translates an error of the server: the answer to a request, or an
// event of a stream, which has no status of its own.
func (p *provider) refusal(status int, header http.Header, body []byte) *sdk.Error {
	e := gjson.GetBytes(body, "error")
	if !e.Exists() {
		// Older vLLM has no wrapper.
		e = gjson.ParseBytes(body)
	}
	message := e.Get("message").String()
	if message == "" && e.Type == gjson.String {
		message = e.Str
	}
	message = p.server.Quote(message)
	words := strings.ToLower(e.Get("code").String() + " " + e.Get("type").String())
	if n := int(e.Get("code").Int()); status == 0 && n >= 400 && n < 600 {
		status = n
	}
	out := &sdk.Error{
		Code: codeOf(status, words, strings.ToLower(message)), ProviderStatus: status, RetryAfter: remote.RetryAfter(header),
	}
	switch out.Code {
	case sdk.CodeUnauthorized:
		out.Message = p.unauthorized(status, message)
	case sdk.CodeRateLimited:
		out.Retryable = !strings.Contains(words, "insufficient_quota")
		out.Message = p.host + " limits the rate" + message
		if !out.Retryable {
			out.Message = p.host + " has no credit left for this key" + message
			out.RetryAfter = 0
		}
	case sdk.CodeTimeout, sdk.CodeUnavailable:
		out.Retryable = true
		out.Message = fmt.Sprintf("%s failed with status %d%s", p.host, status, message)
		if status == 0 {
			out.Message = p.host + " broke the answer off" + message
		}
	case sdk.CodeNotFound:
		out.Message = p.host + " knows no such model" + message
		if !strings.Contains(words+strings.ToLower(message), "model") {
			out.Message = p.host + " has no such path" + message + "; check base_url in plugins.hcl, which usually ends in /v1"
		}
	case sdk.CodeContextTooLong:
		out.Message = "the conversation is too long for the model" + message
	case sdk.CodeContentFilter:
		out.Message = p.host + " refused the content" + message
	default:
		out.Message = fmt.Sprintf("%s refused the request with status %d%s", p.host, status, message)
	}
	return out
}

// codeOf judges by status, and for a bad request by the provider's code and
// type, or by the message, where compatible servers say more.
func codeOf(status int, words, message string) sdk.ErrorCode {
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
	case status == http.StatusTooManyRequests, has(words, "rate_limit", "insufficient_quota"):
		return sdk.CodeRateLimited
	case status == http.StatusRequestTimeout, status == http.StatusGatewayTimeout:
		return sdk.CodeTimeout
	case has(words, "context_length", "exceed_context"), status < 500 && has(message, "context length", "context size", "context window"):
		return sdk.CodeContextTooLong
	case has(words, "content_filter", "content_policy"):
		return sdk.CodeContentFilter
	case status == http.StatusNotFound, has(words, "model_not_found"):
		return sdk.CodeNotFound
	case status == http.StatusConflict, status >= 500, status == 0 && !has(words, "invalid_request"):
		return sdk.CodeUnavailable
	default:
		return sdk.CodeInvalidRequest
	}
}

// unauthorized leaves the words of a 401 out: OpenAI's repeat parts of the key.
func (p *provider) unauthorized(status int, message string) string {
	switch {
	case status == http.StatusForbidden:
		return p.host + " forbids this to the key; check api_key in plugins.hcl" + message
	case p.config.APIKey == "":
		return p.host + " wants an API key; set api_key in plugins.hcl"
	default:
		return p.host + " refused the API key; check api_key in plugins.hcl"
	}
}
