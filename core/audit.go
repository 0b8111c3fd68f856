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
	// Repeated is the number of actions that the entry stands for. Refused actions of the same kind within a
	// minute are recorded as one entry for the first and one for all others, which describes the last of them. A
	// value of 0 means 1.
	Repeated int
}

// AuditRecord is the pending audit entry of a request. Methods that change the database for a
// request receive the record as an argument. The first of them that commits a change also stores
// the entry, in the same transaction. A nil record means that the change is not audited; all
// methods accept it.
type AuditRecord struct {
	AuditEntry
	// Key is the idempotency key of the request, or nil. The transaction stores it with the entry.
	Key     *IdempotencyKey
	claimed atomic.Bool
}

// SetObject sets the object to which the idempotency key of the request refers, if it is not the target of the entry.
func (r *AuditRecord) SetObject(id string) {
	if r != nil && r.Key != nil {
		r.Key.Object = id
	}
}

// Claimed reports whether a write has stored the entry.
func (r *AuditRecord) Claimed() bool { return r.claimed.Load() }

// SetTarget sets the target of the entry. Code that generates the id of a new object calls it
// before it stores the object.
func (r *AuditRecord) SetTarget(id string) {
	if r != nil {
		r.Target = id
	}
}

// SetActor sets the user of the entry. It is for requests without an access token, such as a
// sign-in.
func (r *AuditRecord) SetActor(u *User) {
	if r != nil {
		r.UserID, r.Username = u.ID, u.Username
	}
}

// Claim reports whether the caller is the first to claim the record and must store its entry. It
// returns false for a nil record. It is safe for concurrent use.
func (r *AuditRecord) Claim() bool { return r != nil && r.claimed.CompareAndSwap(false, true) }

// Release undoes a successful Claim after the entry could not be stored.
func (r *AuditRecord) Release() { r.claimed.Store(false) }

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
