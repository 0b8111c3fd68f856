package storage

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/core"
)

type auditRow struct {
	bun.BaseModel `bun:"table:audit,alias:a"`

	Seq        int64  `bun:"seq,pk,autoincrement"`
	At         int64  `bun:"at"`
	Action     string `bun:"action"`
	Target     string `bun:"target"`
	Outcome    string `bun:"outcome"`
	Reason     string `bun:"reason"`
	UserID     string `bun:"user_id"`
	Username   string `bun:"username"`
	Credential string `bun:"credential"`
	Address    string `bun:"address"`
	RequestID  string `bun:"request_id"`
	Repeated   int    `bun:"repeated"`
}

func (r *auditRow) entry() *core.AuditEntry {
	return &core.AuditEntry{
		Seq: r.Seq, At: instant(r.At), Action: r.Action, Target: r.Target,
		Outcome: core.Outcome(r.Outcome), Reason: core.Code(r.Reason),
		UserID: r.UserID, Username: r.Username, Credential: r.Credential, Address: r.Address, RequestID: r.RequestID,
		Repeated: r.Repeated,
	}
}

// writeAudited is write for a change that a user requested. It also stores the entry of audit, in the
// same transaction, unless audit is nil or an earlier write of the request has stored it. If the request has an
// idempotency key that was used before, writeAudited fails with *core.RepeatedRequest and changes nothing.
func (db *DB) writeAudited(
	ctx context.Context, audit *core.AuditRecord, run func(ctx context.Context, tx *tx) error,
) error {
	if !audit.Claim() {
		return db.write(ctx, run)
	}
	err := db.write(ctx, func(ctx context.Context, tx *tx) error {
		if err := checkKeyUnused(ctx, tx, audit.Key); err != nil {
			return err
		}
		if err := run(ctx, tx); err != nil {
			return err
		}
		if err := storeKey(ctx, tx, audit.Key, audit.Target); err != nil {
			return err
		}
		entry := audit.AuditEntry
		entry.At, entry.Outcome = time.Now(), core.OutcomeDone
		return insertEntry(ctx, tx, &entry)
	})
	if err != nil {
		audit.Release()
	}
	return err
}

var insertAudit = &preparedStatement{`INSERT INTO audit (at, action, target, outcome, reason, user_id, username,
credential, address, request_id, repeated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`}

// insertEntry stores an audit entry in the transaction.
func insertEntry(ctx context.Context, tx *tx, e *core.AuditEntry) error {
	_, err := tx.exec(ctx, insertAudit, micros(e.At), e.Action, e.Target, string(e.Outcome), string(e.Reason),
		e.UserID, e.Username, e.Credential, e.Address, e.RequestID, max(e.Repeated, 1))
	return err
}

// Record implements core.AuditStore.
func (db *DB) Record(ctx context.Context, e *core.AuditEntry) error {
	return db.write(ctx, func(ctx context.Context, tx *tx) error { return insertEntry(ctx, tx, e) })
}

// Audit implements core.AuditStore.
func (db *DB) Audit(ctx context.Context, f core.AuditFilter) ([]*core.AuditEntry, int, error) {
	var rows []auditRow
	q := db.read.NewSelect().Model(&rows).Order("seq DESC")
	for _, c := range []struct{ column, value string }{
		{"user_id", f.UserID},
		{"action", f.Action},
		{"target", f.Target},
		{"request_id", f.RequestID},
		{"outcome", string(f.Outcome)},
	} {
		if c.value != "" {
			q.Where("? = ?", bun.Ident("a."+c.column), c.value)
		}
	}
	if !f.From.IsZero() {
		q.Where("a.at >= ?", micros(f.From))
	}
	if !f.To.IsZero() {
		q.Where("a.at < ?", micros(f.To))
	}
	total, err := db.list(ctx, q, f.Page, "a.seq < ?0")
	if err != nil {
		return nil, 0, err
	}
	entries := make([]*core.AuditEntry, len(rows))
	for i := range rows {
		entries[i] = rows[i].entry()
	}
	return entries, total, nil
}

// DeleteAudit implements core.AuditStore.
func (db *DB) DeleteAudit(ctx context.Context, before time.Time, limit int) (int, error) {
	return db.deleteRows(ctx, "audit", "seq", func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("seq <= (?)", db.read.NewSelect().TableExpr("(?) AS old",
			db.read.NewSelect().Model((*auditRow)(nil)).Column("seq", "at").Order("seq").Limit(int64(limit))).
			ColumnExpr("COALESCE(MAX(seq), 0)").Where("at < ?", micros(before)))
	})
}
