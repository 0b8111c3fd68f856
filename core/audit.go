package core

import (
	"context"
	"sync/atomic"
	"time"
)

// Outcome is the result of an audited action.
type Outcome string

// The outcomes.
const (
	// OutcomeDone means that the action succeeded. Its audit entry and its change are committed in
	// the same transaction.
	OutcomeDone Outcome = "done"
	// OutcomeRefused means that the action was not allowed.
	OutcomeRefused Outcome = "refused"
)

// AuditEntry is one row of the audit log. Rows are added and never changed.
type AuditEntry struct {
	// Seq increases with each row.
	Seq int64
	At  time.Time
	// Action is the operation ID of the API endpoint, for example create-agent.
	Action string
	// Target is the id of the object that the action applies to, or several ids separated by
	// slashes. It can be empty.
	Target  string
	Outcome Outcome
	// Reason is the error code of a refused action.
	Reason Code
	// UserID and Username identify the user, as far as known. After a refused sign-in, Username is
	// the name that the client sent.
	UserID, Username string
	// Credential is the id of the login or API key.
	Credential string
	// Address is the client's IP address. RequestID is the request's id in the log.
	Address, RequestID string
}

// AuditRecord is the pending audit entry of a request. The first transaction that commits a
// change for the request also stores the entry.
type AuditRecord struct {
	AuditEntry
	recorded atomic.Bool
}

// Claim reports whether the caller is the first to claim the record and must store its entry. It
// is safe for concurrent use.
func (r *AuditRecord) Claim() bool { return r.recorded.CompareAndSwap(false, true) }

// Release undoes Claim after the entry could not be stored.
func (r *AuditRecord) Release() { r.recorded.Store(false) }

type auditKey struct{}

// WithAuditRecord returns a context whose changes are audited with r. Changes made with a context
// that has a nil record are not audited.
func WithAuditRecord(ctx context.Context, r *AuditRecord) context.Context {
	return context.WithValue(ctx, auditKey{}, r)
}

// AuditFromContext returns the audit record of ctx, or nil if ctx has none.
func AuditFromContext(ctx context.Context) *AuditRecord {
	r, _ := ctx.Value(auditKey{}).(*AuditRecord)
	return r
}

// SetAuditTarget sets the target of the audit record of ctx, if ctx has one. Code that generates
// the id of a new object calls it before it stores the object.
func SetAuditTarget(ctx context.Context, id string) {
	if r := AuditFromContext(ctx); r != nil {
		r.Target = id
	}
}

// SetAuditActor sets the user of the audit record of ctx, if ctx has one. It is for requests
// without an access token, such as a sign-in.
func SetAuditActor(ctx context.Context, u *User) {
	if r := AuditFromContext(ctx); r != nil {
		r.UserID, r.Username = u.ID, u.Username
	}
}

// AuditFilter selects audit entries. Empty fields match all entries.
type AuditFilter struct {
	UserID, Action, Target, RequestID string
	Outcome                           Outcome
	// From is inclusive and To is exclusive.
	From, To time.Time
	Page
}

// AuditStore stores the audit log. Entries are only added, and deleted only by retention.
type AuditStore interface {
	// Record adds an entry for an action that changed nothing in the database.
	Record(ctx context.Context, e *AuditEntry) error
	// Audit returns a page of the matching entries, newest first, and the number of all matches.
	Audit(ctx context.Context, f AuditFilter) ([]*AuditEntry, int, error)
	// DeleteAudit deletes up to limit entries older than before and returns how many it deleted.
	DeleteAudit(ctx context.Context, before time.Time, limit int) (int, error)
}
