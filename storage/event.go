package storage

import (
	"context"
	"database/sql"

	"github.com/agentarea/agentarea/core"
)

var (
	// appendEvent skips rows that are already stored and rows of runs that do not exist.
	appendEvent = &preparedStatement{`INSERT INTO events (run_id, first, last, type, data, created_at)
SELECT id, CAST(? AS BIGINT), CAST(? AS BIGINT), ?, ?, CAST(? AS BIGINT) FROM runs WHERE id = ?
ON CONFLICT (run_id, first) DO NOTHING`}

	// putEvent stores an event of the current owner of a run. It replaces an event that an earlier owner
	// stored late, before it noticed that it had lost the run.
	putEvent = &preparedStatement{`INSERT INTO events (run_id, first, last, type, data, created_at)
	VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (run_id, first) DO UPDATE SET last = excluded.last, type = excluded.type,
data = excluded.data, created_at = excluded.created_at`}

	// selectEvents starts at the last row whose range can include the number.
	selectEvents = &preparedStatement{`SELECT first, last, type, data, created_at FROM events WHERE run_id = ?
AND first >= COALESCE((SELECT MAX(first) FROM events WHERE run_id = ? AND first <= ?), 0)
AND last > ? ORDER BY first LIMIT ?`}
)

// AppendEvents implements core.EventStore.
func (db *DB) AppendEvents(ctx context.Context, rows []core.EventRow) error {
	if len(rows) == 0 {
		return nil
	}
	return db.write(ctx, func(ctx context.Context, tx *tx) error {
		for _, e := range rows {
			_, err := tx.exec(ctx, appendEvent, e.First, e.Last, e.Type, string(e.Data), micros(e.CreatedAt), e.RunID)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// putEvents stores events of a run in a transaction of its owner.
func putEvents(ctx context.Context, tx *tx, runID string, rows []core.EventRow) error {
	for _, e := range rows {
		_, err := tx.exec(ctx, putEvent, runID, e.First, e.Last, e.Type, string(e.Data), micros(e.CreatedAt))
		if err != nil {
			return err
		}
	}
	return nil
}

// Events implements core.EventStore.
func (db *DB) Events(ctx context.Context, runID string, after int64, limit int) ([]core.EventRow, error) {
	var events []core.EventRow
	bytes := 0
	args := []any{runID, runID, after + 1, after, max(limit, 0)}
	err := db.query(ctx, selectEvents, args, func(rows *sql.Rows) error {
		e := core.EventRow{RunID: runID}
		var data []byte
		var created int64
		err := rows.Scan(&e.First, &e.Last, &e.Type, &data, &created)
		if bytes += len(data); bytes > core.MaxEventBytes && len(events) > 0 {
			return errStop
		}
		e.Data, e.CreatedAt = data, instant(created)
		events = append(events, e)
		return err
	})
	return events, err
}
