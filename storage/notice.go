package storage

import (
	"context"
	"math"

	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/core"
)

type noticeRow struct {
	bun.BaseModel `bun:"table:notices,alias:n"`

	Seq       int64  `bun:"seq,pk"`
	Type      string `bun:"type"`
	UserID    string `bun:"user_id"`
	AgentID   string `bun:"agent_id"`
	TaskID    string `bun:"task_id"`
	Data      string `bun:"data"`
	CreatedAt int64  `bun:"created_at"`
}

// insertNotice numbers a notice. All writes of all servers are made one after
// another, so numbers can be read in their order.
var insertNotice = &hot{`INSERT INTO notices (type, user_id, agent_id, task_id, data, created_at) VALUES (?, ?, ?, ?, ?, ?)`}

// putNotice stores a notice in the transaction of what it tells of.
func putNotice(ctx context.Context, tx *tx, n *core.Notice) error {
	_, err := tx.exec(ctx, insertNotice, string(n.Type), n.UserID, n.AgentID, n.TaskID, string(n.Data), micros(n.CreatedAt))
	tx.signal(core.Signal{Topic: core.TopicNotices})
	return err
}

// AddNotice implements core.NoticeStore.
func (db *DB) AddNotice(ctx context.Context, n *core.Notice) error {
	return db.write(ctx, func(ctx context.Context, tx *tx) error { return putNotice(ctx, tx, n) })
}

// Notices implements core.NoticeStore.
func (db *DB) Notices(ctx context.Context, f core.NoticeFilter, after, upto int64, limit int) ([]*core.Notice, error) {
	var rows []noticeRow
	if upto == 0 {
		upto = math.MaxInt64
	}
	q := db.read.NewSelect().Model(&rows).Where("n.seq > ?", after).Where("n.seq <= ?", upto).Order("n.seq").Limit(int64(max(limit, 0)))
	if f.UserID != "" {
		q.Where("n.user_id IN (?, '')", f.UserID)
	}
	if f.AgentID != "" {
		q.Where("n.agent_id = ?", f.AgentID)
	}
	if f.TaskID != "" {
		q.Where("n.task_id = ?", f.TaskID)
	}
	if len(f.Types) > 0 {
		q.Where("n.type IN (?)", bun.List(f.Types))
	}
	if limit <= 0 {
		return nil, nil
	}
	if err := q.Scan(ctx); err != nil {
		return nil, db.translate(err)
	}
	found := make([]*core.Notice, len(rows))
	for i, r := range rows {
		found[i] = &core.Notice{
			Seq: r.Seq, Type: core.NoticeType(r.Type), UserID: r.UserID, AgentID: r.AgentID, TaskID: r.TaskID,
			Data: rawJSON(r.Data), CreatedAt: instant(r.CreatedAt),
		}
	}
	return found, nil
}

// LastNotice implements core.NoticeStore.
func (db *DB) LastNotice(ctx context.Context) (int64, error) {
	var last int64
	err := db.read.NewSelect().Model((*noticeRow)(nil)).ColumnExpr("COALESCE(MAX(seq), 0)").Scan(ctx, &last)
	return last, db.translate(err)
}
