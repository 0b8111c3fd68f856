package gateway

import (
	"errors"
	"math"
	"net/http"
	"strconv"

	"github.com/agentarea/agentarea/core"
)

// writeError writes a JSON-RPC error response.
func writeError(w http.ResponseWriter, id []byte, e *rpcError) {
	status := e.status
	if status == 0 {
		status = http.StatusBadRequest
	}
	writeJSON(w, status, e.response(id))
}

// rejectRequest writes err as a JSON-RPC error response. It logs the details that a client must
// not see.
func (g *Gateway) rejectRequest(w http.ResponseWriter, r *http.Request, err error) {
	e := g.publicError(r, err)
	var appErr *core.Error
	if errors.As(err, &appErr) && appErr.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(appErr.RetryAfter.Seconds()))))
	}
	writeError(w, nil, e)
}

// publicError returns the error that a client may see.
func (g *Gateway) publicError(r *http.Request, err error) *rpcError {
	var e *rpcError
	if errors.As(err, &e) {
		return e
	}
	var appErr *core.Error
	if !errors.As(err, &appErr) || appErr.Code == core.CodeInternal {
		if r.Context().Err() == nil {
			g.logger.ErrorContext(r.Context(), "MCP request failed", "error", err)
		}
		return &rpcError{Code: -32603, Message: "Internal error", status: http.StatusInternalServerError}
	}
	if appErr.Err != nil {
		g.logger.WarnContext(r.Context(), "MCP request failed", "error", err)
	}
	return &rpcError{Code: codeServer, Message: appErr.Message, status: httpStatus(appErr.Code)}
}

// httpStatus returns the HTTP status of an error code.
func httpStatus(code core.Code) int {
	switch code {
	case core.CodeUnauthorized:
		return http.StatusUnauthorized
	case core.CodeForbidden:
		return http.StatusForbidden
	case core.CodeNotFound:
		return http.StatusNotFound
	case core.CodeRateLimited:
		return http.StatusTooManyRequests
	case core.CodeValidation:
		return http.StatusBadRequest
	case core.CodeConflict:
		return http.StatusConflict
	case core.CodeUpstream:
		return http.StatusBadGateway
	case core.CodeUpstreamTimeout:
		return http.StatusGatewayTimeout
	case core.CodeUnavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}
