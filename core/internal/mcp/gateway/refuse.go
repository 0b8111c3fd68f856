package gateway

import (
	"errors"
	"math"
	"net/http"
	"strconv"

	"github.com/agentarea/agentarea/core"
)

// fail answers a request with an error, in JSON-RPC's words.
func fail(w http.ResponseWriter, id []byte, e *rpcError) {
	status := e.status
	if status == 0 {
		status = http.StatusBadRequest
	}
	writeJSON(w, status, e.answer(id))
}

// refuse answers with an error of the house. What is private in it is logged.
func (g *Gateway) refuse(w http.ResponseWriter, r *http.Request, err error) {
	e := g.errorOf(r, err)
	var house *core.Error
	if errors.As(err, &house) && house.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(house.RetryAfter.Seconds()))))
	}
	fail(w, nil, e)
}

func (g *Gateway) errorOf(r *http.Request, err error) *rpcError {
	var e *rpcError
	if errors.As(err, &e) {
		return e
	}
	var house *core.Error
	if !errors.As(err, &house) || house.Code == core.CodeInternal {
		if r.Context().Err() == nil {
			g.logger.ErrorContext(r.Context(), "an MCP request failed", "error", err)
		}
		return &rpcError{Code: -32603, Message: "Internal error", status: http.StatusInternalServerError}
	}
	if house.Err != nil {
		g.logger.WarnContext(r.Context(), "an MCP request failed", "error", err)
	}
	return &rpcError{Code: codeServer, Message: house.Message, status: status(house.Code)}
}

func status(code core.Code) int {
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
