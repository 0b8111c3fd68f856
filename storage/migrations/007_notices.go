package migrations

import (
	"context"

	"github.com/uptrace/bun"
)

// notice007 has numbers that are never reused, even if the newest rows are deleted. A row is deleted with
// the session or task that its text comes from.
type notice007 struct {
	bun.BaseModel `bun:"table:notices"`

	Seq        int64  `bun:"seq,pk,autoincrement"`
	Type       string `bun:"type,notnull"`
	UserID     string `bun:"user_id,notnull"`
	AgentID    string `bun:"agent_id,notnull"`
	SessionKey string `bun:"session_key"`
	TaskID     string `bun:"task_id"`
	Data       string `bun:"data,notnull"`
	CreatedAt  int64  `bun:"created_at,notnull"`
}

func notices(ctx context.Context, db bun.IDB) error {
	_, err := db.NewCreateTable().Model((*notice007)(nil)).
		ForeignKey(`(session_key) REFERENCES sessions (key) ON DELETE CASCADE`).
		ForeignKey(`(task_id) REFERENCES tasks (id) ON DELETE CASCADE`).Exec(ctx)
	if err != nil {
		return err
	}
	for _, index := range []string{
		`CREATE INDEX notices_of_agent ON notices (agent_id, seq) WHERE agent_id <> ''`,
		`CREATE INDEX notices_of_task ON notices (task_id, seq) WHERE task_id IS NOT NULL`,
		`CREATE INDEX notices_of_session ON notices (session_key) WHERE session_key IS NOT NULL`,
		`CREATE INDEX notices_of_user ON notices (user_id, seq)`,
	} {
		if _, err := db.ExecContext(ctx, index); err != nil {
			return err
		}
	}
	return nil
}
