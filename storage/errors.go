package storage

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/agentarea/agentarea/core"
)

// failure is the kind of a driver's error. Queries know these, never native codes.
type failure int

const (
	failOther failure = iota
	// failUnique: a value is taken.
	failUnique
	// failMissing: a row that this one refers to is not there.
	failMissing
	// failBusy: another process holds the lock, or the connection is in use.
	failBusy
	// failFull: no room on the disk.
	failFull
	// failDown: the disk, the file or the server does not answer as it should.
	failDown
)

// translate makes a core.Error of a driver's error. A core.Error, an ended
// context and nil stay as they are.
func (db *DB) translate(err error) error {
	var e *core.Error
	if err == nil || errors.As(err, &e) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	code, message, retry := core.CodeInternal, "The database failed", time.Duration(0)
	switch db.dialect.failure(err) {
	case failUnique:
		code, message = core.CodeConflict, "There is one already"
	case failMissing:
		code, message = core.CodeConflict, "What it belongs to is gone"
	case failBusy:
		code, message, retry = core.CodeUnavailable, "The database is busy", time.Second
	case failFull:
		// Runs wait for what is Unavailable, and so for room: orFull is for others.
		code, message = core.CodeUnavailable, messageFull
	case failDown:
		code, message = core.CodeUnavailable, "The database cannot be read or written"
	case failOther:
		if db.closed.Load() {
			code, message = core.CodeUnavailable, "The database is closed"
		}
	}
	return &core.Error{Code: code, Message: message, RetryAfter: retry, Err: err}
}

const messageFull = "The database's disk is full: free some space"

// orFull makes InsufficientStorage of a full disk, where nobody waits for room.
func (db *DB) orFull(err error) error {
	if err != nil && db.dialect.failure(err) == failFull {
		return &core.Error{Code: core.CodeInsufficientStorage, Message: messageFull, Err: err}
	}
	return err
}

// notFound is core.NotFound for an error that says that there is no row.
func notFound(err error, noun, id string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return core.NotFound(noun, id)
	}
	return err
}
