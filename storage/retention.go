package storage

import (
	"context"
	"time"

	"github.com/uptrace/bun"
)

// DeleteEvents implements core.RetentionStore.
func (db *DB) DeleteEvents(ctx context.Context, from, before time.Time, limit int) (n int, next time.Time, err error) {
	next = from
	err = db.write(ctx, func(ctx context.Context, tx *tx) error {
		var runs []struct {
			ID      string
			EndedAt int64
		}
		err := tx.NewSelect().Model((*runRow)(nil)).Column("id", "ended_at").Where("ended_at > 0").
			Where("ended_at > ?", micros(from)).Where("ended_at < ?", micros(before)).
			Order("ended_at").Limit(int64(limit)).Scan(ctx, &runs)
		if err != nil || len(runs) == 0 {
			return err
		}
		ids := make([]string, len(runs))
		for i, r := range runs {
			ids[i] = r.ID
		}
		err = subtractSizes(ctx, tx, tx.NewSelect().TableExpr("runs AS r").Join("JOIN events AS e ON e.run_id = r.id").
			ColumnExpr("r.session_key AS key, CAST(SUM("+rowSize("e.data")+") AS BIGINT) AS bytes").
			Where("r.id IN (?)", bun.List(ids)))
		if err != nil {
			return err
		}
		_, err = tx.NewDelete().Table("events").Where("run_id IN (?)", bun.List(ids)).Exec(ctx)
		// Other runs can have ended in the same microsecond as the last one.
		n, next = len(runs), instant(runs[len(runs)-1].EndedAt)
		if len(runs) == limit && runs[0].EndedAt < runs[len(runs)-1].EndedAt {
			next = next.Add(-time.Microsecond)
		}
		return err
	})
	return n, next, err
}

// DeleteNotifications implements core.RetentionStore.
func (db *DB) DeleteNotifications(ctx context.Context, before time.Time, limit int) (n int, err error) {
	err = db.write(ctx, func(ctx context.Context, tx *tx) error {
		var oldest []notificationRow
		err := tx.NewSelect().Model(&oldest).Column("seq", "created_at").Order("seq").Limit(int64(limit)).Scan(ctx)
		if err != nil {
			return err
		}
		for n < len(oldest) && oldest[n].CreatedAt < micros(before) {
			n++
		}
		if n == 0 {
			return nil
		}
		_, err = tx.NewDelete().Model((*notificationRow)(nil)).Where("seq <= ?", oldest[n-1].Seq).Exec(ctx)
		return err
	})
	return n, err
}

// DeleteRuns implements core.RetentionStore. Foreign keys delete the calls and events.
func (db *DB) DeleteRuns(ctx context.Context, before time.Time, limit int) (n int, err error) {
	err = db.write(ctx, func(ctx context.Context, tx *tx) error {
		var ids []string
		err := tx.NewSelect().Model((*runRow)(nil)).Column("id").Where("ended_at > 0").
			Where("ended_at < ?", micros(before)).Order("ended_at").Limit(int64(limit)).Scan(ctx, &ids)
		if err != nil || len(ids) == 0 {
			return err
		}
		size := runSize + " + " + sumOf(callSize, "calls", "run_id = r.id") + " + " +
			sumOf(eventSize, "events", "run_id = r.id")
		err = subtractSizes(ctx, tx, tx.NewSelect().TableExpr("runs AS r").
			ColumnExpr("r.session_key AS key, CAST(SUM("+size+") AS BIGINT) AS bytes").
			Where("r.id IN (?)", bun.List(ids)))
		if err != nil {
			return err
		}
		_, err = tx.NewDelete().Model((*runRow)(nil)).Where("id IN (?)", bun.List(ids)).Exec(ctx)
		n = len(ids)
		return err
	})
	return n, err
}

// DeleteTasks implements core.RetentionStore.
func (db *DB) DeleteTasks(ctx context.Context, before time.Time, limit int) (int, error) {
	return db.deleteRows(ctx, "tasks", "id", func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("ended_at > 0").Where("ended_at < ?", micros(before)).Order("ended_at").Limit(int64(limit))
	})
}

// maxDeletedMessages is the number of messages after which DeleteSessions ends, so that its transaction does not delay
// other writes for long.
const maxDeletedMessages = 1000

// DeleteSessions implements core.RetentionStore. Foreign keys delete the rows that belong to the sessions.
func (db *DB) DeleteSessions(ctx context.Context, before time.Time, limit int) (n int, err error) {
	err = db.write(ctx, func(ctx context.Context, tx *tx) error {
		busy := tx.NewSelect().Model((*runRow)(nil)).Column("session_key").
			Where("session_key IS NOT NULL").Where(isActive)
		var oldest []sessionRow
		err := tx.NewSelect().Model(&oldest).Column("key", "messages").Where("updated_at < ?", micros(before)).
			Where("key NOT IN (?)", busy).Order("updated_at").Limit(int64(limit)).Scan(ctx)
		if err != nil || len(oldest) == 0 {
			return err
		}
		var keys []string
		for messages := 0; n < len(oldest) && messages < maxDeletedMessages; n++ {
			messages += oldest[n].Messages
			keys = append(keys, oldest[n].Key)
		}
		_, err = tx.NewDelete().Model((*sessionRow)(nil)).Where("key IN (?)", bun.List(keys)).Exec(ctx)
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// deleteRows deletes the rows of a table that pick selects, and returns the number of deleted rows. Foreign
// keys delete the rows that belong to them.
func (db *DB) deleteRows(
	ctx context.Context, table, key string, pick func(*bun.SelectQuery) *bun.SelectQuery,
) (int, error) {
	var n int64
	err := db.write(ctx, func(ctx context.Context, tx *tx) error {
		found := pick(tx.NewSelect().Table(table).Column(key))
		res, err := tx.NewDelete().Table(table).Where("? IN (?)", bun.Ident(key), found).Exec(ctx)
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	return int(n), err
}
