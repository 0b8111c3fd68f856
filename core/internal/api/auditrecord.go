package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/agentarea/agentarea/core"
)

// audit begins the audit of an operation: what it is and what it is done to, and if
// it may change something, the audit whose row the first change takes with it.
func (a *api) audit(ctx huma.Context, next func(huma.Context)) {
	op := ctx.Operation()
	var ids []string
	for _, p := range op.Parameters {
		if p.In == "path" {
			ids = append(ids, ctx.Param(p.Name))
		}
	}
	req := requestOf(ctx.Context())
	req.action, req.target = op.OperationID, plain(strings.Join(ids, "/"))
	if op.Method == http.MethodGet {
		next(ctx)
		return
	}
	req.audit = &core.AuditRecord{AuditEntry: *req.entry()}
	next(huma.WithContext(ctx, core.WithAuditRecord(ctx.Context(), req.audit)))
}

// plain is a caller's text as every database takes it, and no longer than is of use.
func plain(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s[:min(len(s), 256)], "?"), "\x00", "?")
}

// entry is the row of the audit as far as the request tells it.
func (r *request) entry() *core.AuditEntry {
	e := &core.AuditEntry{Action: r.action, Target: r.target, Address: r.address, RequestID: r.id}
	if p := r.principal; p != nil {
		e.UserID, e.Username, e.Credential = p.User.ID, p.User.Username, p.Credential()
	}
	return e
}

// recordOutcome adds the row of a request that was refused, or that has changed
// what is not in the database. A limit of requests in general is no refusal: those
// who run into it would fill the audit.
func (a *api) recordOutcome(ctx context.Context, req *request, status int) {
	if req.action == "" {
		return
	}
	e := req.entry()
	if req.audit != nil {
		*e = req.audit.AuditEntry
	}
	switch {
	case status < http.StatusBadRequest && req.audit != nil && req.audit.Claim():
		e.Outcome = core.OutcomeDone
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusTooManyRequests,
		status == http.StatusNotFound && req.principal != nil && req.target != "":
		e.Outcome, e.Reason = core.OutcomeRefused, reason(req, status)
	default:
		return
	}
	a.record(ctx, e)
}

func reason(req *request, status int) core.Code {
	if req.err != nil {
		return core.CodeOf(req.err)
	}
	for code, is := range statuses {
		if is == status {
			return code
		}
	}
	return core.CodeInternal
}

// record adds a row. That it can't be added is in the log, with all that it says.
func (a *api) record(ctx context.Context, e *core.AuditEntry) {
	e.At = time.Now()
	if err := a.audits.Record(context.WithoutCancel(ctx), e); err != nil {
		a.log.ErrorContext(ctx, "a row of the audit was not stored", "error", err, "action", e.Action, "target", e.Target,
			"outcome", e.Outcome, "reason", e.Reason, "user_id", e.UserID, "username", e.Username, "address", e.Address, "request_id", e.RequestID)
	}
}
