package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/core"
)

// failure is the kind of a driver error. Queries use it instead of the native error codes.
type failure int

const (
	failOther failure = iota
	// failUnique means that a value violates a unique constraint.
	failUnique
	// failMissing means that a referenced row does not exist.
	failMissing
	// failBusy means that another process holds the lock or a transaction conflicts with this one.
	failBusy
	// failFull means that the disk is full.
	failFull
	// failReadOnly means that the database can be read but not written.
	failReadOnly
	// failDown means that the disk, the file or the server does not work.
	failDown
)

// translate converts a driver error into a core.Error. It returns nil, a core.Error, a core.RepeatedRequest and a
// context error unchanged.
func (db *DB) translate(err error) error {
	var e *core.Error
	var repeated *core.RepeatedRequest
	if err == nil || errors.As(err, &e) || errors.As(err, &repeated) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	code, message, retry := core.CodeInternal, "The database failed", time.Duration(0)
	switch db.dialect.failure(err) {
	case failUnique:
		code, message = core.CodeConflict, "The object already exists"
	case failMissing:
		code, message = core.CodeConflict, "An object that this one refers to was deleted"
	case failBusy:
		code, message, retry = core.CodeUnavailable, "The database is busy", time.Second
	case failFull:
		// Runs retry Unavailable errors, and so wait for free space. Other callers use orFull.
		code, message = core.CodeUnavailable, messageFull
	case failReadOnly:
		code, message = core.CodeUnavailable, "The database is read-only"
	case failDown:
		code, message = core.CodeUnavailable, "The database cannot be read or written"
	case failOther:
		if db.closed.Load() {
			code, message = core.CodeUnavailable, "The database is closed"
		}
	}
	return &core.Error{Code: code, Message: message, RetryAfter: retry, Err: err}
}

const messageFull = "The disk of the database is full. Free some space on it"

// orFull converts a full disk into InsufficientStorage, for callers that do not wait for free space.
func (db *DB) orFull(err error) error {
	if err != nil && db.dialect.failure(err) == failFull {
		return &core.Error{Code: core.CodeInsufficientStorage, Message: messageFull, Err: err}
	}
	return err
}

// changedMeanwhile returns the PreconditionFailed of an object whose version differs from the one that was changed.
func changedMeanwhile(noun, id string) error {
	e := &core.Error{
		Code:    core.CodePreconditionFailed,
		Message: fmt.Sprintf("The %s was changed by another request. Read it again and repeat the change", noun),
	}
	return e.WithObject(noun, id)
}

// idOf returns the id of a row that the query selects, or "" if it selects none.
func idOf(ctx context.Context, q *bun.SelectQuery) (id string, err error) {
	err = q.Column("id").Limit(1).Scan(ctx, &id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, err
}

// notFound converts sql.ErrNoRows into core.NotFound. It returns other errors unchanged.
func notFound(err error, noun, id string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return core.NotFound(noun, id)
	}
	return err
}
