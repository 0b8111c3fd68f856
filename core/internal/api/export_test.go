package api

import "net/http"

// MaxFieldErrors, MaxWaiting, RequestID, Bearer and ContainsNUL are for the tests.
const (
	MaxFieldErrors = maxFieldErrors
	MaxWaiting     = maxWaiting
)

// ErrorExamples are the errors of the OpenAPI document.
var ErrorExamples = errorExamples

// RequestID returns the request id for an X-Request-ID header.
func RequestID(header string) string { return requestID(http.Header{"X-Request-Id": {header}}) }

// Bearer returns the token of an Authorization header.
func Bearer(header string) (string, bool) { return bearer(header) }

// ContainsNUL reports whether a decoded JSON value contains a NUL character, and where.
func ContainsNUL(v any) (string, bool) { return findIn(v, "", hasNUL) }

// ExceedsLimits reports whether a JSON number is longer or has a larger exponent than a body may contain.
func ExceedsLimits(number string) bool { return exceedsLimits(number) }

// OpenStreams returns the number of open event streams.
func (a *API) OpenStreams() int {
	a.streams.mu.Lock()
	defer a.streams.mu.Unlock()
	n := 0
	for _, open := range a.streams.open {
		n += open
	}
	return n
}

// LargeCallers returns the number of callers with large requests.
func (a *API) LargeCallers() int { return a.large.Users() }
