package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/agentarea/agentarea/core"
)

// fail answers a request with an error in the format of the API. It is for every error that does not concern
// the JSON-RPC message in the request: MCP clients go by the HTTP status.
func (g *Gateway) fail(w http.ResponseWriter, r *http.Request, err error) {
	g.writeAPIError(w, r, err, 0)
}

// notAcceptable answers a request whose Accept header excludes the format of the response.
func (g *Gateway) notAcceptable(w http.ResponseWriter, r *http.Request, issue string) {
	g.writeAPIError(w, r, core.Invalid("Accept", "%s", issue), http.StatusNotAcceptable)
}

// methodNotAllowed answers a request whose method is not one of allow. reason may be empty.
func (g *Gateway) methodNotAllowed(w http.ResponseWriter, r *http.Request, allow, reason string) {
	w.Header().Set("Allow", allow)
	g.fail(w, r, &core.Error{
		Code:    core.CodeMethodNotAllowed,
		Message: fmt.Sprintf("Method %s is not allowed for %s%s. Allowed methods: %s.", r.Method, r.URL.Path, reason, allow),
	})
}

// notFound answers a request for a path that the gateway does not serve.
func (g *Gateway) notFound(w http.ResponseWriter, r *http.Request) {
	g.fail(w, r, &core.Error{
		Code: core.CodeNotFound,
		Message: fmt.Sprintf("No such endpoint: %s %s. MCP clients connect to an MCP server at /mcp/{slug}/mcp/.",
			r.Method, r.URL.Path),
	})
}

// rejectRequest writes an error: one of the JSON-RPC message as a JSON-RPC error response, and any other in the
// format of the API. It logs the details that a client must not see.
func (g *Gateway) rejectRequest(w http.ResponseWriter, r *http.Request, err error) {
	var e *rpcError
	if errors.As(err, &e) {
		writeError(w, nil, e)
		return
	}
	var appErr *core.Error
	switch {
	case !errors.As(err, &appErr) || appErr.Code == core.CodeInternal:
		if r.Context().Err() == nil {
			g.logger.ErrorContext(r.Context(), "MCP request failed", "error", err)
		}
	case appErr.Err != nil:
		g.logger.WarnContext(r.Context(), "MCP request failed", "error", err)
	}
	g.fail(w, r, err)
}

// writeError writes a JSON-RPC error response. Its data has the request id, as an error of the API has, unless
// the error has other data.
func writeError(w http.ResponseWriter, id []byte, e *rpcError) {
	status := e.status
	if status == 0 {
		status = http.StatusBadRequest
	}
	if requestID := w.Header().Get("X-Request-Id"); e.Data == nil && requestID != "" {
		withData := *e
		withData.Data = slices.Concat([]byte(`{"request_id":`), quote(requestID), []byte(`}`))
		e = &withData
	}
	writeJSON(w, status, e.response(id))
}
