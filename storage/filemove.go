package storage

import (
	"context"
	"time"

	"github.com/agentarea/agentarea/core"
)

// FilesInBackend implements core.FileStore.
func (db *DB) FilesInBackend(ctx context.Context, backend, after string, limit int) ([]*core.File, error) {
	if limit <= 0 {
		return nil, nil
	}
	var rows []fileRow
	err := db.read.NewSelect().Model(&rows).Where("backend = ?", backend).Where("id > ?", after).
		Order("id").Limit(int64(limit)).Scan(ctx)
	if err != nil {
		return nil, db.translate(err)
	}
	return filesOf(rows), nil
}

// BackendUsage implements core.FileStore.
func (db *DB) BackendUsage(ctx context.Context, backend string) (files int, bytes int64, err error) {
	err = db.read.NewSelect().Model((*fileRow)(nil)).ColumnExpr("count(*)").
		ColumnExpr("CAST(coalesce(sum(size), 0) AS BIGINT)").Where("backend = ?", backend).
		Scan(ctx, &files, &bytes)
	return files, bytes, db.translate(err)
}

// MoveFile implements core.FileStore.
func (db *DB) MoveFile(
	ctx context.Context, audit *core.AuditRecord, id string, from, to core.Blob, sweepAt time.Time,
) error {
	return db.writeAudited(ctx, audit, func(ctx context.Context, tx *tx) error {
		res, err := tx.NewUpdate().Model((*fileRow)(nil)).Set("backend = ?", to.Backend).Set("key = ?", to.Key).
			Where("id = ?", id).Where("backend = ?", from.Backend).Where("key = ?", from.Key).Exec(ctx)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return err
		}
		if n == 0 {
			return core.NotFound("file", id)
		}
		if err := referBlob(ctx, tx, to); err != nil {
			return err
		}
		return releaseBlob(ctx, tx, from, sweepAt)
	})
}
