package storage

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/core"
)

type sessionRow struct {
	bun.BaseModel `bun:"table:sessions,alias:s"`

	Key       string `bun:"key,pk"`
	ID        string `bun:"id"`
	AgentID   string `bun:"agent_id"`
	UserID    string `bun:"user_id"`
	Messages  int    `bun:"messages"`
	CreatedAt int64  `bun:"created_at"`
	UpdatedAt int64  `bun:"updated_at"`
	// Bytes is the size of the messages and runs. It leaves out the calls and later events of active runs.
	Bytes int64 `bun:"bytes"`
}

// Sessions implements core.SessionStore.
func (db *DB) Sessions(ctx context.Context, f core.SessionFilter) ([]*core.Session, int, error) {
	var rows []sessionRow
	q := db.read.NewSelect().Model(&rows).Where("agent_id = ?", f.AgentID).Where("user_id = ?", f.UserID).
		Order("updated_at DESC", "key DESC")
	if f.WithoutTasks {
		q.Where("substr(id, 1, 5) <> 'task-'")
	}
	total, err := db.list(ctx, q, f.Page, "(s.updated_at, s.key) < (?0, ?1)")
	if err != nil {
		return nil, 0, err
	}
	sessions := make([]*core.Session, len(rows))
	for i, r := range rows {
		sessions[i] = &core.Session{
			Key: r.Key, ID: r.ID, AgentID: r.AgentID, UserID: r.UserID, Messages: r.Messages,
			CreatedAt: instant(r.CreatedAt), UpdatedAt: instant(r.UpdatedAt),
		}
	}
	return sessions, total, nil
}

// DeleteSession implements core.SessionStore. Foreign keys delete the rows that belong to the session.
func (db *DB) DeleteSession(ctx context.Context, audit *core.AuditRecord, agentID, userID, sessionID string) error {
	return db.writeAudited(ctx, audit, func(ctx context.Context, tx *tx) error {
		var key string
		err := tx.queryRow(ctx, lockSession, []any{agentID, userID, sessionID}, &key)
		if err != nil {
			return notFound(err, "session", sessionID)
		}
		busy, err := activeRuns(tx.NewSelect()).Where("session_key = ?", key).Exists(ctx)
		if err != nil {
			return err
		}
		if busy {
			return busySession(ctx, tx, key, sessionID)
		}
		_, err = tx.NewDelete().Model((*sessionRow)(nil)).Where("key = ?", key).Exec(ctx)
		return err
	})
}

var lockSession = &preparedStatement{
	`SELECT key FROM sessions WHERE agent_id = ? AND user_id = ? AND id = ? FOR UPDATE`,
}

var (
	// touchSession creates the session, or adds the message and the size of a turn.
	touchSession = &preparedStatement{`INSERT INTO sessions (key, id, agent_id, user_id, messages, bytes,
	created_at, updated_at)
VALUES (?, ?, ?, ?, 1, ?, ?, ?)
ON CONFLICT (agent_id, user_id, id) DO UPDATE SET messages = sessions.messages + 1,
bytes = sessions.bytes + excluded.bytes,
updated_at = CASE WHEN excluded.updated_at > sessions.updated_at THEN excluded.updated_at ELSE sessions.updated_at END
RETURNING key`}

	// endTurn adds the answer and the size of the end of a run.
	endTurn = &preparedStatement{`UPDATE sessions SET messages = messages + ?, bytes = bytes + ?,
updated_at = CASE WHEN updated_at < ? THEN ? ELSE updated_at END WHERE key = ?`}

	// endLongTurn is endTurn for a run with calls or events that were stored before its end.
	endLongTurn = &preparedStatement{`UPDATE sessions SET messages = messages + ?,
bytes = bytes + ? + ` + laterSize("?") + `,
updated_at = CASE WHEN updated_at < ? THEN ? ELSE updated_at END WHERE key = ?`}
)
