package storage

import (
	"context"
	"math"

	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/core"
)

type notificationRow struct {
	bun.BaseModel `bun:"table:notices,alias:n"`

	Seq     int64  `bun:"seq,pk"`
	Type    string `bun:"type"`
	UserID  string `bun:"user_id"`
	AgentID string `bun:"agent_id"`
	// SessionKey and TaskID are null for a notification without a session or task.
	SessionKey string `bun:"session_key,nullzero"`
	TaskID     string `bun:"task_id,nullzero"`
	Data       string `bun:"data"`
	CreatedAt  int64  `bun:"created_at"`
	// Bytes is the size of the row. It is in an index, which makes it fast to sum up.
	Bytes int64 `bun:"bytes"`
}

// insertNotification assigns the next number. Because all servers write one after another, numbers
// become visible in their order.
var insertNotification = &preparedStatement{`INSERT INTO notices (type, user_id, agent_id, session_key, task_id,
	data, created_at, bytes)
VALUES (?, ?, ?, NULLIF(?, ''), NULLIF(?, ''), ?, ?, ?)`}

// putNotification stores a notification in the transaction of the change that it reports.
func putNotification(ctx context.Context, tx *tx, n *core.Notification) error {
	_, err := tx.exec(ctx, insertNotification, string(n.Type), n.UserID, n.AgentID, n.SessionKey, n.TaskID,
		string(n.Data), micros(n.CreatedAt), rowBytes+len(n.Data))
	tx.wakeup(core.Wakeup{Topic: core.TopicNotifications})
	return err
}

// AddNotification implements core.NotificationStore.
func (db *DB) AddNotification(ctx context.Context, n *core.Notification) error {
	return db.write(ctx, func(ctx context.Context, tx *tx) error { return putNotification(ctx, tx, n) })
}

// Notifications implements core.NotificationStore.
func (db *DB) Notifications(
	ctx context.Context, f core.NotificationFilter, after, upto int64, limit int,
) (found []*core.Notification, more bool, err error) {
	if upto == 0 {
		upto = math.MaxInt64
	}
	q := db.read.NewSelect().Model((*notificationRow)(nil)).Where("n.seq > ?", after).Where("n.seq <= ?", upto).
		Order("n.seq").Limit(int64(max(limit, 0)))
	if f.UserID != "" {
		q.Where("n.user_id IN (?, '')", f.UserID)
	}
	if f.AgentID != "" {
		q.Where("n.agent_id = ?", f.AgentID)
	}
	if f.TaskID != "" {
		q.Where("n.task_id = ?", f.TaskID)
	}
	if f.WithoutTasks {
		q.Where("n.task_id IS NULL")
	}
	if len(f.Types) > 0 {
		q.Where("n.type IN (?)", bun.List(f.Types))
	}
	if limit <= 0 {
		return nil, false, nil
	}
	if f.UserID != "" {
		found, more, err = db.sortedNotifications(ctx, q)
	} else {
		found, more, err = db.notifications(ctx, q)
	}
	return found, more || len(found) == limit, db.translate(err)
}

// sortedNotifications returns the rows of a query that SQLite sorts, as notifications does. It reads their sizes
// first and without the rows, because a database keeps all columns of the rows that it sorts in memory.
func (db *DB) sortedNotifications(
	ctx context.Context, q *bun.SelectQuery,
) (found []*core.Notification, more bool, err error) {
	var numbers []int64
	var sizes []int
	err = q.Column("n.seq").ColumnExpr("OCTET_LENGTH(n.data)").Scan(ctx, &numbers, &sizes)
	if err != nil || len(numbers) == 0 {
		return nil, false, err
	}
	end := pageEnd(sizes)
	found, _, err = db.notifications(ctx, db.read.NewSelect().Model((*notificationRow)(nil)).
		Where("n.seq IN (?)", bun.List(numbers[:end])).Order("n.seq"))
	return found, end < len(numbers), err
}

// notifications returns the rows of a query. more reports whether it stopped because they exceed
// core.MaxPageBytes.
func (db *DB) notifications(
	ctx context.Context, q *bun.SelectQuery,
) (found []*core.Notification, more bool, err error) {
	rows, err := q.Rows(ctx)
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = rows.Close() }() // rows.Err returns the errors that matter
	bytes := 0
	for rows.Next() {
		var r notificationRow
		if err := db.read.ScanRow(ctx, rows, &r); err != nil {
			return nil, false, err
		}
		if bytes += len(r.Data); bytes > core.MaxPageBytes && len(found) > 0 {
			return found, true, nil
		}
		found = append(found, &core.Notification{
			Seq: r.Seq, Type: core.NotificationType(r.Type), UserID: r.UserID, AgentID: r.AgentID,
			SessionKey: r.SessionKey, TaskID: r.TaskID,
			Data: rawJSON(r.Data), CreatedAt: instant(r.CreatedAt),
		})
	}
	return found, false, rows.Err()
}

// LastNotification implements core.NotificationStore.
func (db *DB) LastNotification(ctx context.Context) (int64, error) {
	var last int64
	err := db.read.NewSelect().Model((*notificationRow)(nil)).ColumnExpr("COALESCE(MAX(seq), 0)").Scan(ctx, &last)
	return last, db.translate(err)
}

// NewestNotification implements core.NotificationStore.
func (db *DB) NewestNotification(ctx context.Context) (int64, error) {
	last, err := copied{name: "notices", counter: "seq"}.lastNumber(ctx, db.read)
	return last, db.translate(err)
}
