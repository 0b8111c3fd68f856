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
	e := g.rpcErrorOf(r, err)
	var appErr *core.Error
	if errors.As(err, &appErr) && appErr.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(appErr.RetryAfter.Seconds()))))
	}
	writeError(w, nil, e)
}

// rpcErrorOf returns the JSON-RPC error that a client may see.
func (g *Gateway) rpcErrorOf(r *http.Request, err error) *rpcError {
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
	return &rpcError{Code: codeServer, Message: appErr.Message, status: appErr.Code.HTTPStatus()}
}
