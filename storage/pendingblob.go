package storage

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/core"
)

// orphanRow is a blob that no file names. One that is claimed is being deleted,
// and is nobody's to take any more.
type orphanRow struct {
	bun.BaseModel `bun:"table:orphans,alias:o"`

	Backend  string `bun:"backend,pk"`
	Key      string `bun:"key,pk"`
	SweepAt  int64  `bun:"sweep_at"`
	Claimed  bool   `bun:"claimed"`
	Attempts int    `bun:"attempts"`
	Reason   string `bun:"reason"`
}

var (
	// insertPendingBlob stores nothing when a file has the blob: its bytes are not to be swept.
	insertPendingBlob = &preparedStatement{`INSERT INTO orphans (backend, key, sweep_at, claimed, attempts, reason)
SELECT CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS BIGINT), FALSE, 0, ''
WHERE NOT EXISTS (SELECT 1 FROM files WHERE backend = ? AND key = ?)`}

	renewPendingBlob = &preparedStatement{`UPDATE orphans SET sweep_at = CASE WHEN sweep_at < ? THEN ? ELSE sweep_at END
WHERE backend = ? AND key = ? AND NOT claimed`}

	takePendingBlob = &preparedStatement{`DELETE FROM orphans WHERE backend = ? AND key = ? AND NOT claimed`}
)

// ReserveBlob implements core.FileStore. It fails with Conflict when the key was
// used before, as far as it is known.
func (db *DB) ReserveBlob(ctx context.Context, b core.Blob, sweepAt time.Time) error {
	err := db.write(ctx, func(ctx context.Context, tx *tx) error {
		n, err := tx.exec(ctx, insertPendingBlob, b.Backend, b.Key, micros(sweepAt), b.Backend, b.Key)
		if err == nil && n == 0 {
			return core.Conflict("A file has the key %q already", b.Key)
		}
		return err
	})
	return db.orFull(err)
}

var errSwept = core.Conflict("The bytes are being deleted: what they were for took too long")

// RenewBlob implements core.FileStore. An earlier sweepAt changes nothing.
func (db *DB) RenewBlob(ctx context.Context, b core.Blob, sweepAt time.Time) error {
	at := micros(sweepAt)
	return db.write(ctx, func(ctx context.Context, tx *tx) error {
		n, err := tx.exec(ctx, renewPendingBlob, at, at, b.Backend, b.Key)
		if err == nil && n == 0 {
			return errSwept
		}
		return err
	})
}

// takeBlob makes a reserved blob ready for a file to name it.
func takeBlob(ctx context.Context, tx *tx, b core.Blob) error {
	n, err := tx.exec(ctx, takePendingBlob, b.Backend, b.Key)
	if err == nil && n == 0 {
		return errSwept
	}
	return err
}

// leaveBlob makes a claimed orphan of a blob that no file names any more.
func leaveBlob(ctx context.Context, tx *tx, b core.Blob, sweepAt time.Time) error {
	row := &orphanRow{Backend: b.Backend, Key: b.Key, SweepAt: micros(sweepAt), Claimed: true}
	_, err := tx.NewInsert().Model(row).Exec(ctx)
	return err
}

// ClaimPendingBlobs implements core.FileStore. Those that are due for longest come first.
func (db *DB) ClaimPendingBlobs(ctx context.Context, now, until time.Time, limit int) ([]core.PendingBlob, error) {
	if limit <= 0 {
		return nil, nil
	}
	var rows []orphanRow
	err := db.write(ctx, func(ctx context.Context, tx *tx) error {
		due := tx.NewSelect().Model((*orphanRow)(nil)).Column("backend", "key").
			Where("sweep_at <= ?", micros(now)).Order("sweep_at").Limit(int64(limit))
		// What another claimer has taken meanwhile is not due any more.
		return tx.NewUpdate().Model((*orphanRow)(nil)).Set("claimed = TRUE").Set("attempts = attempts + 1").
			Set("sweep_at = ?", micros(until)).Where("(backend, key) IN (?)", due).
			Where("sweep_at <= ?", micros(now)).Returning("backend, key, attempts").Scan(ctx, &rows)
	})
	if err != nil {
		return nil, err
	}
	orphans := make([]core.PendingBlob, len(rows))
	for i, r := range rows {
		orphans[i] = core.PendingBlob{Blob: core.Blob{Backend: r.Backend, Key: r.Key}, Attempts: r.Attempts}
	}
	return orphans, nil
}

// PostponePendingBlob implements core.FileStore. One that is not claimed, or not
// there any more, stays as it is.
func (db *DB) PostponePendingBlob(ctx context.Context, b core.Blob, sweepAt time.Time, reason string) error {
	row := &orphanRow{Backend: b.Backend, Key: b.Key, SweepAt: micros(sweepAt), Reason: reason}
	return db.write(ctx, func(ctx context.Context, tx *tx) error {
		_, err := tx.NewUpdate().Model(row).Column("sweep_at", "reason").WherePK().Where("claimed").Exec(ctx)
		return err
	})
}

// DeletePendingBlob implements core.FileStore.
func (db *DB) DeletePendingBlob(ctx context.Context, b core.Blob) error {
	row := &orphanRow{Backend: b.Backend, Key: b.Key}
	return db.write(ctx, func(ctx context.Context, tx *tx) error {
		_, err := tx.NewDelete().Model(row).WherePK().Exec(ctx)
		return err
	})
}
