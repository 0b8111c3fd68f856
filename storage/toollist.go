package storage

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"time"

	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/core"
)

var (
	selectToolList = &preparedStatement{`SELECT 1 FROM tool_lists WHERE hash = ?`}

	insertToolList = &preparedStatement{`INSERT INTO tool_lists (hash, data, created_at) VALUES (?, ?, ?)
ON CONFLICT (hash) DO NOTHING`}
)

// toolListHash returns the key of the list of tools that the call returned, or "" for another call. A list can
// have megabytes and is the same for many runs, so that it is stored once.
func toolListHash(c *core.Call) string {
	if c.Kind != core.CallListTools || len(c.Result) == 0 {
		return ""
	}
	hash := sha256.Sum256(c.Result)
	return hex.EncodeToString(hash[:])
}

// putToolList stores the list of tools of a call unless it is stored already. It returns the number of bytes
// that it has stored, which count as those of the call.
func putToolList(ctx context.Context, tx *tx, hash string, c *core.Call) (int, error) {
	if hash == "" {
		return 0, nil
	}
	var one int
	err := tx.queryRow(ctx, selectToolList, []any{hash}, &one)
	if !errors.Is(err, sql.ErrNoRows) {
		return 0, err
	}
	_, err = tx.exec(ctx, insertToolList, hash, string(c.Result), micros(time.Now()))
	return len(c.Result), err
}

// DeleteToolLists implements core.RetentionStore.
func (db *DB) DeleteToolLists(ctx context.Context, before time.Time, limit int) (int, error) {
	return db.deleteRows(ctx, "tool_lists", "hash", func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("created_at < ?", micros(before)).
			Where("NOT EXISTS (SELECT 1 FROM calls WHERE calls.tool_list = tool_lists.hash)").Limit(int64(limit))
	})
}
