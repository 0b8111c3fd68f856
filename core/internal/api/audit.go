package api

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/agentarea/agentarea/core"
)

// AuditStore stores audit records.
type AuditStore interface {
	Record(ctx context.Context, e *core.AuditEntry) error
}

// audit is the middleware that names the action and the target of a request. For operations that may
// change something it also creates the audit record of the request, which Audit returns.
func audit(ctx huma.Context, next func(huma.Context)) {
	op := ctx.Operation()
	var ids []string
	for _, p := range op.Parameters {
		if p.In == "path" {
			ids = append(ids, ctx.Param(p.Name))
		}
	}
	req := RequestFrom(ctx.Context())
	if conditional, _ := op.Metadata[conditionalKey].(bool); conditional && req.reply != nil {
		req.reply.conditional = true
	}
	req.action, req.target = op.OperationID, Sanitize(strings.Join(ids, "/"))
	if op.Method != http.MethodGet {
		req.audit = &core.AuditRecord{AuditEntry: *req.auditEntry()}
	}
	next(ctx)
}

// Audit returns the audit record of a request, or nil for a GET request. A handler passes the record
// to the method that changes the database, which stores it in the transaction of the change.
func Audit(ctx context.Context) *core.AuditRecord { return RequestFrom(ctx).audit }

// Sanitize returns a caller's text in a form that every database accepts: valid UTF-8 without NUL,
// and at most 256 bytes.
func Sanitize(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s[:min(len(s), 256)], "?"), "\x00", "?")
}

// auditEntry returns the audit record of the request without time and outcome.
func (r *Request) auditEntry() *core.AuditEntry {
	e := &core.AuditEntry{Action: r.action, Target: r.target, Address: r.Address, RequestID: r.ID}
	if p := r.Principal; p != nil {
		e.UserID, e.Username, e.Credential = p.User.ID, p.User.Username, p.Credential()
	}
	return e
}

// RecordRefusal stores the audit record of something that was refused on a connection after its
// request was answered. p is the caller, or nil, and target what the caller asked for.
func (a *API) RecordRefusal(ctx context.Context, req *Request, p *core.Principal, target string, err error) {
	e := (&Request{ID: req.ID, Address: req.Address, Principal: p, action: req.action, target: Sanitize(target)}).
		auditEntry()
	e.Outcome, e.Reason = core.OutcomeRefused, core.CodeOf(err)
	a.requests.audit.recordRefusal(ctx, e)
}

// auditor stores the audit records that no write has stored.
type auditor struct {
	store   AuditStore
	log     *slog.Logger
	refused folder
}

// recordOutcome stores the record of a request that was refused, or that changed something outside
// of the database. Requests over the general rate limit have no action yet and are not recorded,
// because they would fill the audit.
func (a *auditor) recordOutcome(ctx context.Context, req *Request, status int) {
	if req.action == "" {
		return
	}
	e := req.auditEntry()
	if req.audit != nil {
		*e = req.audit.AuditEntry
	}
	switch {
	case status < http.StatusBadRequest && req.audit != nil && req.audit.Claim():
		e.Outcome = core.OutcomeDone
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusTooManyRequests,
		status == http.StatusNotFound && req.Principal != nil && req.target != "":
		e.Outcome, e.Reason = core.OutcomeRefused, refusalCode(req, status)
		a.recordRefusal(ctx, e)
		return
	default:
		return
	}
	a.record(ctx, e)
}

// recordRefusal stores the record of a refusal. Further refusals of the same kind within a minute are stored as
// one record with their number.
func (a *auditor) recordRefusal(ctx context.Context, e *core.AuditEntry) {
	ctx = context.WithoutCancel(ctx)
	a.refused.add(refusalKey(e), func(repeated int) {
		e.Repeated = repeated
		a.record(ctx, e)
	})
}

// refusalKey identifies refusals of the same kind: with the same login or API key, or from the same address if
// nobody is signed in, and with the same action and reason on the same kind of object. Refusals of an API key do
// not hide those of another one, which may have been stolen.
func refusalKey(e *core.AuditEntry) string {
	who := cmp.Or(e.Credential, e.UserID)
	if who == "" {
		who = core.AddressKey(e.Address)
	}
	kind, _, _ := strings.Cut(e.Target, "-")
	return strings.Join([]string{who, e.Action, string(e.Reason), kind[:min(len(kind), 32)]}, " ")
}

// refusalCode returns the code of the error that was answered.
func refusalCode(req *Request, status int) core.Code {
	if req.Err != nil {
		return core.CodeOf(req.Err)
	}
	return core.CodeOfHTTPStatus(status)
}

// record stores a record, with at least one repetition. If that fails, it logs the record with the error.
func (a *auditor) record(ctx context.Context, e *core.AuditEntry) {
	e.At = time.Now()
	if err := a.store.Record(context.WithoutCancel(ctx), e); err != nil {
		a.log.ErrorContext(ctx, "cannot store audit record", "error", err, "action", e.Action, "target", e.Target,
			"outcome", e.Outcome, "reason", e.Reason, "user_id", e.UserID, "username", e.Username, "address", e.Address,
			"request_id", e.RequestID)
	}
}
