package migrations

import (
	"context"

	"github.com/uptrace/bun"
)

type user001 struct {
	bun.BaseModel `bun:"table:users"`

	ID           string `bun:"id,pk"`
	Username     string `bun:"username,notnull"`
	UsernameFold string `bun:"username_fold,notnull,unique"`
	Email        string `bun:"email,notnull"`
	EmailFold    string `bun:"email_fold,unique"`
	Role         string `bun:"role,notnull"`
	PasswordHash string `bun:"password_hash,notnull"`
	Disabled     bool   `bun:"disabled,notnull"`
	CreatedAt    int64  `bun:"created_at,notnull"`
	UpdatedAt    int64  `bun:"updated_at,notnull"`
}

type login001 struct {
	bun.BaseModel `bun:"table:logins"`

	ID          string `bun:"id,pk"`
	UserID      string `bun:"user_id,notnull"`
	Generation  int64  `bun:"generation,notnull"`
	RefreshHash []byte `bun:"refresh_hash,notnull"`
	RotatedAt   int64  `bun:"rotated_at,notnull"`
	CreatedAt   int64  `bun:"created_at,notnull"`
	ExpiresAt   int64  `bun:"expires_at,notnull"`
	EndedAt     int64  `bun:"ended_at,notnull"`
}

type agent001 struct {
	bun.BaseModel `bun:"table:agents"`

	ID          string `bun:"id,pk"`
	Name        string `bun:"name,notnull"`
	Description string `bun:"description,notnull"`
	Type        string `bun:"type,notnull"`
	Status      string `bun:"status,notnull"`
	Config      string `bun:"config,notnull"`
	Model       string `bun:"model,notnull"`
	Shared      bool   `bun:"shared,notnull"`
	Version     int64  `bun:"version,notnull"`
	CreatedBy   string `bun:"created_by,notnull"`
	CreatedAt   int64  `bun:"created_at,notnull"`
	UpdatedAt   int64  `bun:"updated_at,notnull"`
}

// session001 has its columns in the order of its unique index, which is used to list the sessions of a
// user with an agent.
type session001 struct {
	bun.BaseModel `bun:"table:sessions"`

	Key       string `bun:"key,pk"`
	AgentID   string `bun:"agent_id,notnull,unique:sessions_of_user"`
	UserID    string `bun:"user_id,notnull,unique:sessions_of_user"`
	ID        string `bun:"id,notnull,unique:sessions_of_user"`
	Messages  int64  `bun:"messages,notnull"`
	CreatedAt int64  `bun:"created_at,notnull"`
	UpdatedAt int64  `bun:"updated_at,notnull"`
}

type message001 struct {
	bun.BaseModel `bun:"table:messages"`

	Position   int64  `bun:"position,pk,identity"`
	ID         string `bun:"id,notnull,unique"`
	SessionKey string `bun:"session_key,notnull"`
	SessionID  string `bun:"session_id,notnull"`
	AgentID    string `bun:"agent_id,notnull"`
	UserID     string `bun:"user_id,notnull"`
	RunID      string `bun:"run_id,notnull"`
	Role       string `bun:"role,notnull"`
	Text       string `bun:"text,notnull"`
	Parts      string `bun:"parts,notnull"`
	Metadata   string `bun:"metadata,notnull"`
	CreatedAt  int64  `bun:"created_at,notnull"`
}

type run001 struct {
	bun.BaseModel `bun:"table:runs"`

	ID              string `bun:"id,pk"`
	Kind            string `bun:"kind,notnull"`
	AgentID         string `bun:"agent_id,notnull"`
	UserID          string `bun:"user_id,notnull"`
	SessionKey      string `bun:"session_key"`
	SessionID       string `bun:"session_id,notnull"`
	AgentType       string `bun:"agent_type,notnull"`
	Config          string `bun:"config,notnull"`
	InputID         string `bun:"input_id,notnull"`
	AnswerID        string `bun:"answer_id,notnull"`
	Status          string `bun:"status,notnull"`
	Error           string `bun:"error,notnull"`
	Stream          bool   `bun:"stream,notnull"`
	Seed            int64  `bun:"seed,notnull"`
	Owner           string `bun:"owner,notnull"`
	Attempt         int64  `bun:"attempt,notnull"`
	CancelRequested bool   `bun:"cancel_requested,notnull"`
	InputTokens     int64  `bun:"input_tokens,notnull"`
	OutputTokens    int64  `bun:"output_tokens,notnull"`
	CachedTokens    int64  `bun:"cached_tokens,notnull"`
	ReasoningTokens int64  `bun:"reasoning_tokens,notnull"`
	Model           string `bun:"model,notnull"`
	CreatedAt       int64  `bun:"created_at,notnull"`
	EndedAt         int64  `bun:"ended_at,notnull"`
}

type call001 struct {
	bun.BaseModel `bun:"table:calls"`

	RunID           string `bun:"run_id,pk"`
	Number          int64  `bun:"number,pk"`
	Kind            string `bun:"kind,notnull"`
	RequestHash     []byte `bun:"request_hash,notnull"`
	Request         string `bun:"request,notnull"`
	Done            bool   `bun:"done,notnull"`
	Result          string `bun:"result,notnull"`
	Error           string `bun:"error,notnull"`
	Model           string `bun:"model,notnull"`
	InputTokens     int64  `bun:"input_tokens,notnull"`
	OutputTokens    int64  `bun:"output_tokens,notnull"`
	CachedTokens    int64  `bun:"cached_tokens,notnull"`
	ReasoningTokens int64  `bun:"reasoning_tokens,notnull"`
	StartedAt       int64  `bun:"started_at,notnull"`
	EndedAt         int64  `bun:"ended_at,notnull"`
}

type event001 struct {
	bun.BaseModel `bun:"table:events"`

	RunID     string `bun:"run_id,pk"`
	First     int64  `bun:"first,pk"`
	Last      int64  `bun:"last,notnull"`
	Type      string `bun:"type,notnull"`
	Data      string `bun:"data,notnull"`
	CreatedAt int64  `bun:"created_at,notnull"`
}

type lease001 struct {
	bun.BaseModel `bun:"table:leases"`

	Owner string `bun:"owner,pk"`
	Until int64  `bun:"until,notnull"`
}

func first(ctx context.Context, db bun.IDB) error {
	tables := []*bun.CreateTableQuery{
		db.NewCreateTable().Model((*user001)(nil)),
		db.NewCreateTable().Model((*login001)(nil)).
			ForeignKey(`(user_id) REFERENCES users (id) ON DELETE CASCADE`),
		db.NewCreateTable().Model((*agent001)(nil)),
		db.NewCreateTable().Model((*session001)(nil)).
			ForeignKey(`(agent_id) REFERENCES agents (id) ON DELETE CASCADE`),
		db.NewCreateTable().Model((*message001)(nil)).
			ForeignKey(`(session_key) REFERENCES sessions (key) ON DELETE CASCADE`),
		db.NewCreateTable().Model((*run001)(nil)).
			ForeignKey(`(session_key) REFERENCES sessions (key) ON DELETE CASCADE`),
		db.NewCreateTable().Model((*call001)(nil)).
			ForeignKey(`(run_id) REFERENCES runs (id) ON DELETE CASCADE`),
		db.NewCreateTable().Model((*event001)(nil)).
			ForeignKey(`(run_id) REFERENCES runs (id) ON DELETE CASCADE`),
		db.NewCreateTable().Model((*lease001)(nil)),
	}
	for _, t := range tables {
		if _, err := t.Exec(ctx); err != nil {
			return err
		}
	}
	for _, index := range []string{
		`CREATE INDEX logins_user ON logins (user_id)`,
		`CREATE INDEX logins_expires ON logins (expires_at)`,
		// This index allows one active run per session. It also finds all active runs.
		`CREATE UNIQUE INDEX runs_under_way ON runs (session_key) WHERE status IN ('running', 'waiting_approval')`,
		`CREATE INDEX runs_session ON runs (session_key)`,
		`CREATE INDEX messages_session ON messages (session_key, position)`,
		`CREATE INDEX messages_user ON messages (agent_id, user_id, position, created_at)`,
	} {
		if _, err := db.ExecContext(ctx, index); err != nil {
			return err
		}
	}
	return nil
}
