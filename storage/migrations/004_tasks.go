package migrations

import (
	"context"

	"github.com/uptrace/bun"
)

// The texts that can be large are the last columns: to read a column, SQLite reads everything before it.
type task004 struct {
	bun.BaseModel `bun:"table:tasks"`

	ID             string `bun:"id,pk"`
	UserID         string `bun:"user_id,notnull"`
	AgentID        string `bun:"agent_id,notnull"`
	Title          string `bun:"title,notnull"`
	Description    string `bun:"description,notnull"`
	Priority       int64  `bun:"priority,notnull"`
	Status         string `bun:"status,notnull"`
	Attempts       int64  `bun:"attempts,notnull"`
	MaxAttempts    int64  `bun:"max_attempts,notnull"`
	TimeoutMicros  int64  `bun:"timeout_micros,notnull"`
	RunID          string `bun:"run_id,notnull"`
	IdempotencyKey string `bun:"idempotency_key,notnull"`
	RequestHash    []byte `bun:"request_hash,notnull"`
	RunAt          int64  `bun:"run_at,notnull"`
	CreatedAt      int64  `bun:"created_at,notnull"`
	UpdatedAt      int64  `bun:"updated_at,notnull"`
	StartedAt      int64  `bun:"started_at,notnull"`
	EndedAt        int64  `bun:"ended_at,notnull"`
	Data           string `bun:"data,notnull"`
	Input          string `bun:"input,notnull"`
	Result         string `bun:"result,notnull"`
	Error          string `bun:"error,notnull"`
}

func tasks(ctx context.Context, db bun.IDB) error {
	_, err := db.NewCreateTable().Model((*task004)(nil)).
		ForeignKey(`(agent_id) REFERENCES agents (id) ON DELETE CASCADE`).Exec(ctx)
	if err != nil {
		return err
	}
	for _, statement := range []string{
		`ALTER TABLE runs ADD COLUMN task_id VARCHAR NOT NULL DEFAULT ''`,
		`CREATE UNIQUE INDEX tasks_by_key ON tasks (user_id, idempotency_key) WHERE idempotency_key <> ''`,
		`CREATE INDEX tasks_waiting ON tasks (priority, user_id, created_at) WHERE status = 'pending'`,
		`CREATE INDEX tasks_served ON tasks (user_id, started_at)`,
		`CREATE INDEX tasks_of_user ON tasks (user_id, created_at)`,
		`CREATE INDEX tasks_of_agent ON tasks (agent_id, created_at)`,
	} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
