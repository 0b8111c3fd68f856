package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/agentarea/agentarea/sdk"
)

// maxMessage is the maximum length of an excerpt of a server's message in bytes.
const maxMessage = 500

// ErrorResponse is an error that a server returned instead of an answer.
type ErrorResponse struct {
	// Status is the HTTP status code, or 0 for an error in the middle of a stream.
	Status int
	// Message is the server's error message.
	Message string
	// Code is the error code. If it is empty, it is derived from Status and Message.
	Code sdk.ErrorCode
	// RetryAfter is the time to wait before the next attempt, or 0 if the server did not specify one.
	RetryAfter time.Duration
}

// ResponseError converts an error of the server to an *sdk.Error that contains no secrets.
func (s *Server) ResponseError(r ErrorResponse) *sdk.Error {
	if r.Code == "" {
		r.Code = errorCode(r.Status, strings.ToLower(r.Message))
	}
	e := &sdk.Error{Code: r.Code, ProviderStatus: r.Status}
	quoted := s.Excerpt(r.Message)
	switch r.Code {
	case sdk.CodeUnauthorized:
		// The message is not quoted, because it may contain parts of the key.
		e.Message = s.Host + " rejected the API key; check api_key in plugins.hcl"
	case sdk.CodeRateLimited:
		e.Retryable, e.RetryAfter = true, r.RetryAfter
		e.Message = s.Host + " is rate-limiting requests" + quoted
	case sdk.CodeUnavailable, sdk.CodeTimeout:
		e.Retryable, e.RetryAfter = true, r.RetryAfter
		e.Message = s.Host + " reported a failure" + quoted
		if r.Status != 0 {
			e.Message = fmt.Sprintf("%s returned status %d%s", s.Host, r.Status, quoted)
		}
	case sdk.CodeNotFound:
		e.Message = s.Host + " does not have this model" + quoted
	case sdk.CodeContextTooLong:
		e.Message = "the conversation is too long for the model" + quoted
	case sdk.CodeContentFilter:
		e.Message = s.Host + " rejected the content" + quoted
	default:
		e.Message = s.Host + " rejected the request" + quoted
	}
	return e
}

// errorCode returns the code of an error with an HTTP status and a message in lower case.
func errorCode(status int, message string) sdk.ErrorCode {
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
	for _, words := range []string{
		"prompt is too long", "context length", "context window", "token count", "too many tokens", "input length",
	} {
		if strings.Contains(message, words) {
			return sdk.CodeContextTooLong
		}
	}
	return sdk.CodeInvalidRequest
}

// Excerpt returns a message of the server for use at the end of an error message: without secrets and
// shortened. It starts with ": " unless it is empty.
func (s *Server) Excerpt(message string) string {
	message = strings.TrimSpace(s.redact.Replace(message))
	if message == "" {
		return ""
	}
	if len(message) > maxMessage {
		message = message[:maxMessage] + "…"
	}
	return ": " + strings.ToValidUTF8(message, "")
}

// TransportError converts the failure of a request to an *sdk.Error. The ctx is the context of the
// request, and err is the error of the HTTP client or of reading the body.
func (s *Server) TransportError(ctx context.Context, err error) *sdk.Error {
	var known *sdk.Error
	var network *url.Error
	var dial *net.OpError
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(context.Cause(ctx), errStartTimeout):
		return &sdk.Error{
			Code: sdk.CodeTimeout, Retryable: true,
			Message: fmt.Sprintf("%s did not start to answer within %s; see timeout in plugins.hcl", s.Host, s.Timeout),
		}
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &sdk.Error{Code: sdk.CodeTimeout, Message: s.Host + " did not finish the answer before the deadline"}
	case ctx.Err() != nil:
		return &sdk.Error{Code: sdk.CodeCancelled, Message: "the request was cancelled"}
	case errors.As(err, &network):
		err = network.Err
	case errors.As(err, &dial):
	case isMalformed(err):
		// Not retryable: the provider has been paid for the answer, and would likely answer in the same way.
		return &sdk.Error{Code: sdk.CodeUnavailable, Message: s.Host + " sent an invalid response: " + err.Error()}
	default:
		slog.WarnContext(ctx, "the answer was interrupted", "host", s.address, "error", s.Redact(err.Error()))
		return s.unavailable("interrupted the answer" + interruption(err))
	}
	// Users see the message, but not the text of err, because it contains addresses.
	slog.WarnContext(ctx, "the server is not reachable", "host", s.address, "error", s.Redact(err.Error()))
	return s.unavailable("is not reachable; an administrator must start it, or correct base_url in plugins.hcl")
}

// isMalformed reports whether err says that a response is not the expected JSON.
func isMalformed(err error) bool {
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	return errors.As(err, &typ) || errors.As(err, &syntax) && syntax.Error() != "unexpected end of JSON input"
}

// interruption returns the text of an error as the end of a message, or "" for an error of the network, whose text
// contains addresses.
func interruption(err error) string {
	var network net.Error
	if errors.As(err, &network) {
		return ""
	}
	return ": " + err.Error()
}

// ErrTruncated is an error for TransportError. It means that the answer ended early.
var ErrTruncated = errors.New("the answer is incomplete")

func (s *Server) unavailable(problem string) *sdk.Error {
	return &sdk.Error{Code: sdk.CodeUnavailable, Message: s.Host + " " + problem, Retryable: true}
}

// maxRetryAfter is the maximum result of RetryAfter.
const maxRetryAfter = 14 * 24 * time.Hour

// RetryAfter returns the time to wait according to the headers Retry-After-Ms, which OpenAI sends, and
// Retry-After in both of its forms. It returns 0 if there is no valid header.
func RetryAfter(h http.Header) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil && ms > 0 && ms < 1e9 {
		return time.Duration(ms * float64(time.Millisecond))
	}
	v := h.Get("Retry-After")
	if s, err := strconv.ParseFloat(v, 64); err == nil && s > 0 && s < maxRetryAfter.Seconds() {
		return time.Duration(s * float64(time.Second))
	}
	if t, err := http.ParseTime(v); err == nil {
		return min(max(0, time.Until(t)), maxRetryAfter)
	}
	return 0
}
