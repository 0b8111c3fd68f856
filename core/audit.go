package core

import (
	"context"
	"sync/atomic"
	"time"
)

// Outcome is what came of a deed.
type Outcome string

// The outcomes.
const (
	// OutcomeDone: it was done. The row is of the same transaction as the change.
	OutcomeDone Outcome = "done"
	// OutcomeRefused: it was not allowed.
	OutcomeRefused Outcome = "refused"
)

// AuditEntry is a row of the audit: it is added and never changed.
type AuditEntry struct {
	// Seq rises with each row.
	Seq int64
	At  time.Time
	// Action is the API's operation, as create-agent.
	Action string
	// Target is what it was done to: an id, or several with slashes; may be empty.
	Target  string
	Outcome Outcome
	// Reason is why it was refused.
	Reason Code
	// UserID and Username are who it was, as far as is known: of a sign-in that was
	// refused, the name that was given.
	UserID, Username string
	// Credential is the sign-in or API key.
	Credential string
	// Address is where the request came from, and RequestID its name in the log.
	Address, RequestID string
}

// AuditRecord is what a request is about to do. The first change that is committed on
// its behalf takes its row of the audit into its transaction.
type AuditRecord struct {
	AuditEntry
	recorded atomic.Bool
}

// Claim says whether the row is still to be written, and that the caller does so.
func (d *AuditRecord) Claim() bool { return d.recorded.CompareAndSwap(false, true) }

// Release says that the row was not written after all.
func (d *AuditRecord) Release() { d.recorded.Store(false) }

type auditKey struct{}

// WithAuditRecord has the changes made on ctx audited as the deed; with nil they are
// audited as none.
func WithAuditRecord(ctx context.Context, d *AuditRecord) context.Context {
	return context.WithValue(ctx, auditKey{}, d)
}

// AuditFromContext is the deed that ctx is on behalf of, or nil.
func AuditFromContext(ctx context.Context) *AuditRecord {
	d, _ := ctx.Value(auditKey{}).(*AuditRecord)
	return d
}

// SetAuditTarget names what the deed of ctx, if there is one, is done to: whoever
// makes up an id says so before it is stored.
func SetAuditTarget(ctx context.Context, id string) {
	if d := AuditFromContext(ctx); d != nil {
		d.Target = id
	}
}

// SetAuditActor names who does the deed of ctx, where no token has said it.
func SetAuditActor(ctx context.Context, u *User) {
	if d := AuditFromContext(ctx); d != nil {
		d.UserID, d.Username = u.ID, u.Username
	}
}

// AuditFilter picks rows; what is empty picks all.
type AuditFilter struct {
	UserID, Action, Target, RequestID string
	Outcome                           Outcome
	// From is the first moment and To the one after the last.
	From, To time.Time
	Page
}

// AuditStore keeps the audit. Rows are only added, but for those that retention
// takes away.
type AuditStore interface {
	// Record adds a row for what changed nothing in the database.
	Record(ctx context.Context, e *AuditEntry) error
	// Audit lists newest first, with the count of all that match.
	Audit(ctx context.Context, f AuditFilter) ([]*AuditEntry, int, error)
	// DeleteAudit removes rows older than before, at most limit, and says how many.
	DeleteAudit(ctx context.Context, before time.Time, limit int) (int, error)
}
