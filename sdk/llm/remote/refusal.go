package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/agentarea/agentarea/sdk"
)

// maxMessage bounds what is quoted of a server's words, in bytes.
const maxMessage = 500

// Refusal is what a server says instead of an answer.
type Refusal struct {
	// Status is that of HTTP; 0 for an error in the middle of a stream.
	Status int
	// Message is in the server's words.
	Message string
	// Code, if set, is known already; else it follows from the status and message.
	Code       sdk.ErrorCode
	RetryAfter time.Duration
}

// Refused translates a refusal.
func (s *Server) Refused(r Refusal) *sdk.Error {
	if r.Code == "" {
		r.Code = codeOf(r.Status, strings.ToLower(r.Message))
	}
	e := &sdk.Error{Code: r.Code, ProviderStatus: r.Status}
	quoted := s.Quote(r.Message)
	switch r.Code {
	case sdk.CodeUnauthorized:
		// The server's words may repeat parts of the key.
		e.Message = s.Host + " refused the API key; check api_key in plugins.hcl"
	case sdk.CodeRateLimited:
		e.Retryable, e.RetryAfter = true, r.RetryAfter
		e.Message = s.Host + " limits the rate" + quoted
	case sdk.CodeUnavailable, sdk.CodeTimeout:
		e.Retryable, e.RetryAfter = true, r.RetryAfter
		e.Message = s.Host + " failed" + quoted
		if r.Status != 0 {
			e.Message = fmt.Sprintf("%s failed with status %d%s", s.Host, r.Status, quoted)
		}
	case sdk.CodeNotFound:
		e.Message = s.Host + " knows no such model" + quoted
	case sdk.CodeContextTooLong:
		e.Message = "the conversation is too long for the model" + quoted
	case sdk.CodeContentFilter:
		e.Message = s.Host + " refused the content" + quoted
	default:
		e.Message = s.Host + " refused the request" + quoted
	}
	return e
}

func codeOf(status int, message string) sdk.ErrorCode {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return sdk.CodeUnauthorized
	case status == http.StatusTooManyRequests:
		return sdk.CodeRateLimited
	case status == http.StatusRequestTimeout, status == http.StatusGatewayTimeout:
		return sdk.CodeTimeout
	case status == http.StatusNotFound:
		return sdk.CodeNotFound
	case status == http.StatusRequestEntityTooLarge:
		return sdk.CodeContextTooLong
	case status == 0, status == http.StatusConflict, status >= http.StatusInternalServerError:
		return sdk.CodeUnavailable
	}
	for _, words := range []string{"prompt is too long", "context length", "context window", "token count", "too many tokens", "input length"} {
		if strings.Contains(message, words) {
			return sdk.CodeContextTooLong
		}
	}
	return sdk.CodeInvalidRequest
}

// Quote makes the server's words fit to be shown after ours: without secrets, and
// not too long.
func (s *Server) Quote(message string) string {
	message = strings.TrimSpace(s.redact.Replace(message))
	if message == "" {
		return ""
	}
	if len(message) > maxMessage {
		message = message[:maxMessage] + "…"
	}
	return ": " + strings.ToValidUTF8(message, "")
}

// Failed says in the SDK's words why a request under ctx gave no whole answer;
// err is what the HTTP client or the reading of the body gave.
func (s *Server) Failed(ctx context.Context, err error) *sdk.Error {
	var known *sdk.Error
	var network *url.Error
	var dial *net.OpError
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(context.Cause(ctx), errSlow):
		return &sdk.Error{
			Code: sdk.CodeTimeout, Retryable: true,
			Message: fmt.Sprintf("%s sent nothing for %s; timeout is in plugins.hcl", s.Host, s.Timeout),
		}
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &sdk.Error{Code: sdk.CodeTimeout, Message: s.Host + " did not finish in time"}
	case ctx.Err() != nil:
		return &sdk.Error{Code: sdk.CodeCancelled, Message: "nobody waits for the answer any more"}
	case errors.As(err, &network):
		err = network.Err
	case errors.As(err, &dial):
	default:
		return s.unavailable("broke the answer off" + s.Quote(err.Error()))
	}
	return s.unavailable("can't be reached (start it, or correct base_url in plugins.hcl)" + s.Quote(err.Error()))
}

// ErrCut is for Failed: the answer ended before it was whole.
var ErrCut = errors.New("it ended before it was whole")

func (s *Server) unavailable(what string) *sdk.Error {
	return &sdk.Error{Code: sdk.CodeUnavailable, Message: s.Host + " " + what, Retryable: true}
}

// longestWait is the longest that anybody is asked to wait.
const longestWait = 14 * 24 * time.Hour

// RetryAfter reads both forms of the header, and OpenAI's milliseconds; 0 is none.
func RetryAfter(h http.Header) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil && ms > 0 && ms < 1e9 {
		return time.Duration(ms * float64(time.Millisecond))
	}
	v := h.Get("Retry-After")
	if s, err := strconv.ParseFloat(v, 64); err == nil && s > 0 && s < longestWait.Seconds() {
		return time.Duration(s * float64(time.Second))
	}
	if t, err := http.ParseTime(v); err == nil {
		return min(max(0, time.Until(t)), longestWait)
	}
	return 0
}
