package core

import "net/http"

// httpStatuses maps every code to its HTTP status.
var httpStatuses = map[Code]int{
	CodeValidation:           http.StatusBadRequest,
	CodeUnauthorized:         http.StatusUnauthorized,
	CodeForbidden:            http.StatusForbidden,
	CodeNotFound:             http.StatusNotFound,
	CodeMethodNotAllowed:     http.StatusMethodNotAllowed,
	CodeConflict:             http.StatusConflict,
	CodePreconditionFailed:   http.StatusPreconditionFailed,
	CodePayloadTooLarge:      http.StatusRequestEntityTooLarge,
	CodeUnsupportedMediaType: http.StatusUnsupportedMediaType,
	CodeRateLimited:          http.StatusTooManyRequests,
	CodeInternal:             http.StatusInternalServerError,
	CodeUpstream:             http.StatusBadGateway,
	CodeUnavailable:          http.StatusServiceUnavailable,
	CodeUpstreamTimeout:      http.StatusGatewayTimeout,
	CodeInsufficientStorage:  http.StatusInsufficientStorage,
}

// HTTPStatus returns the HTTP status with which the API and the MCP gateway report the code. It is 500 for an
// unknown code.
func (c Code) HTTPStatus() int {
	if status, ok := httpStatuses[c]; ok {
		return status
	}
	return http.StatusInternalServerError
}

// CodeOfHTTPStatus returns the code with an HTTP status, or CodeInternal if there is none.
func CodeOfHTTPStatus(status int) Code {
	for code, its := range httpStatuses {
		if its == status {
			return code
		}
	}
	return CodeInternal
}
