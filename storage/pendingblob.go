package storage

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/core"
)

// pendingBlobRow is a blob that no file refers to. A claimed blob is being deleted, so that no file can
// refer to it any more.
type pendingBlobRow struct {
	bun.BaseModel `bun:"table:orphans,alias:o"`

	Backend  string `bun:"backend,pk"`
	Key      string `bun:"key,pk"`
	SweepAt  int64  `bun:"sweep_at"`
	Claimed  bool   `bun:"claimed"`
	Attempts int    `bun:"attempts"`
	Reason   string `bun:"reason"`
}

var (
	// insertPendingBlob inserts nothing if a file refers to the blob.
	insertPendingBlob = &preparedStatement{`INSERT INTO orphans (backend, key, sweep_at, claimed, attempts, reason)
SELECT CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS BIGINT), FALSE, 0, ''
WHERE NOT EXISTS (SELECT 1 FROM files WHERE backend = ? AND key = ?)`}

	renewPendingBlob = &preparedStatement{`UPDATE orphans SET sweep_at = CASE WHEN sweep_at < ? THEN ? ELSE sweep_at END
WHERE backend = ? AND key = ? AND NOT claimed`}

	deleteReservedBlob = &preparedStatement{`DELETE FROM orphans WHERE backend = ? AND key = ? AND NOT claimed`}
)

// ReserveBlob implements core.FileStore. It fails with Conflict if a file or another pending blob has
// the same key.
func (db *DB) ReserveBlob(ctx context.Context, b core.Blob, sweepAt time.Time) error {
	err := db.write(ctx, func(ctx context.Context, tx *tx) error {
		n, err := tx.exec(ctx, insertPendingBlob, b.Backend, b.Key, micros(sweepAt), b.Backend, b.Key)
		if err == nil && n == 0 {
			return core.Conflict("A file with the key %q already exists", b.Key)
		}
		return err
	})
	return db.orFull(err)
}

var errBlobExpired = core.Conflict("The reserved content expired and is being deleted. Upload it again")

// RenewBlob implements core.FileStore. A sweepAt before the stored one changes nothing.
func (db *DB) RenewBlob(ctx context.Context, b core.Blob, sweepAt time.Time) error {
	at := micros(sweepAt)
	return db.write(ctx, func(ctx context.Context, tx *tx) error {
		n, err := tx.exec(ctx, renewPendingBlob, at, at, b.Backend, b.Key)
		if err == nil && n == 0 {
			return errBlobExpired
		}
		return err
	})
}

// referBlob deletes the record of a reserved blob, because a file refers to it from now on.
func referBlob(ctx context.Context, tx *tx, b core.Blob) error {
	n, err := tx.exec(ctx, deleteReservedBlob, b.Backend, b.Key)
	if err == nil && n == 0 {
		return errBlobExpired
	}
	return err
}

// releaseBlob adds a claimed pending blob for a blob that no file refers to any more.
func releaseBlob(ctx context.Context, tx *tx, b core.Blob, sweepAt time.Time) error {
	row := &pendingBlobRow{Backend: b.Backend, Key: b.Key, SweepAt: micros(sweepAt), Claimed: true}
	_, err := tx.NewInsert().Model(row).Exec(ctx)
	return err
}

// ClaimPendingBlobs implements core.FileStore. It claims those with the earliest sweepAt first.
func (db *DB) ClaimPendingBlobs(ctx context.Context, now, until time.Time, limit int) ([]core.PendingBlob, error) {
	if limit <= 0 {
		return nil, nil
	}
	var rows []pendingBlobRow
	err := db.write(ctx, func(ctx context.Context, tx *tx) error {
		due := tx.NewSelect().Model((*pendingBlobRow)(nil)).Column("backend", "key").
			Where("sweep_at <= ?", micros(now)).Order("sweep_at").Limit(int64(limit))
		// The second condition excludes blobs that another server has claimed meanwhile.
		return tx.NewUpdate().Model((*pendingBlobRow)(nil)).Set("claimed = TRUE").Set("attempts = attempts + 1").
			Set("sweep_at = ?", micros(until)).Where("(backend, key) IN (?)", due).
			Where("sweep_at <= ?", micros(now)).Returning("backend, key, attempts").Scan(ctx, &rows)
	})
	if err != nil {
		return nil, err
	}
	blobs := make([]core.PendingBlob, len(rows))
	for i, r := range rows {
		blobs[i] = core.PendingBlob{Blob: core.Blob{Backend: r.Backend, Key: r.Key}, Attempts: r.Attempts}
	}
	return blobs, nil
}

// PostponePendingBlob implements core.FileStore. It does nothing if the blob is not claimed or not
// pending.
func (db *DB) PostponePendingBlob(ctx context.Context, b core.Blob, sweepAt time.Time, reason string) error {
	row := &pendingBlobRow{Backend: b.Backend, Key: b.Key, SweepAt: micros(sweepAt), Reason: reason}
	return db.write(ctx, func(ctx context.Context, tx *tx) error {
		_, err := tx.NewUpdate().Model(row).Column("sweep_at", "reason").WherePK().Where("claimed").Exec(ctx)
		return err
	})
}

// DeletePendingBlob implements core.FileStore.
func (db *DB) DeletePendingBlob(ctx context.Context, b core.Blob) error {
	row := &pendingBlobRow{Backend: b.Backend, Key: b.Key}
	return db.write(ctx, func(ctx context.Context, tx *tx) error {
		_, err := tx.NewDelete().Model(row).WherePK().Exec(ctx)
		return err
	})
}
