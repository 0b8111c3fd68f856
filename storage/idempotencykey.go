package storage

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/agentarea/agentarea/core"
)

var (
	selectKey = &preparedStatement{`SELECT request_hash, object FROM idempotency_keys
WHERE user_id = ? AND key = ? AND created_at > ?`}

	// putKey replaces an expired key.
	putKey = &preparedStatement{`INSERT INTO idempotency_keys (user_id, key, request_hash, object, created_at)
VALUES (?, ?, ?, ?, ?) ON CONFLICT (user_id, key) DO UPDATE SET request_hash = excluded.request_hash,
object = excluded.object, created_at = excluded.created_at`}
)

// FindKey implements core.IdempotencyKeyStore.
func (db *DB) FindKey(ctx context.Context, k *core.IdempotencyKey) (*core.RepeatedRequest, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	earlier, err := findKey(context.WithoutCancel(ctx), db.statements, k)
	return earlier, db.translate(err)
}

func findKey(ctx context.Context, from *statements, k *core.IdempotencyKey) (*core.RepeatedRequest, error) {
	var hash []byte
	earlier := new(core.RepeatedRequest)
	since := time.Now().Add(-core.IdempotencyKeyTTL)
	err := from.queryRow(ctx, selectKey, []any{k.UserID, k.Key, micros(since)}, &hash, &earlier.Object)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // most keys are new
	}
	if err != nil {
		return nil, err
	}
	earlier.Different = !bytes.Equal(hash, k.Hash)
	return earlier, nil
}

// StoreKey implements core.IdempotencyKeyStore.
func (db *DB) StoreKey(ctx context.Context, k *core.IdempotencyKey) error {
	return db.write(ctx, func(ctx context.Context, tx *tx) error {
		if err := checkKeyUnused(ctx, tx, k); err != nil {
			return err
		}
		return storeKey(ctx, tx, k, "")
	})
}

// checkKeyUnused fails with *core.RepeatedRequest if the key was used before. It returns nil for a nil key. All writes
// are serialized, so no other write can use the key until the transaction ends.
func checkKeyUnused(ctx context.Context, tx *tx, k *core.IdempotencyKey) error {
	if k == nil {
		return nil
	}
	earlier, err := findKey(ctx, tx.statements, k)
	if err != nil || earlier == nil {
		return err
	}
	return earlier
}

// storeKey stores a key, which refers to its own object or else to the given one. It does nothing for a nil key.
func storeKey(ctx context.Context, tx *tx, k *core.IdempotencyKey, object string) error {
	if k == nil {
		return nil
	}
	_, err := tx.exec(ctx, putKey, k.UserID, k.Key, k.Hash, cmp.Or(k.Object, object), micros(time.Now()))
	return err
}

// DeleteIdempotencyKeys implements core.RetentionStore.
func (db *DB) DeleteIdempotencyKeys(ctx context.Context, before time.Time, limit int) (int, error) {
	var n int64
	err := db.write(ctx, func(ctx context.Context, tx *tx) error {
		res, err := tx.NewRaw(`DELETE FROM idempotency_keys WHERE (user_id, key) IN
(SELECT user_id, key FROM idempotency_keys WHERE created_at < ? ORDER BY created_at LIMIT ?)`,
			micros(before), limit).Exec(ctx)
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	return int(n), err
}
