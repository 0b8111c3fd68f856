package migrations

import (
	"context"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"
)

type apiKey010 struct {
	bun.BaseModel `bun:"table:api_keys"`

	ID         string `bun:"id,pk"`
	UserID     string `bun:"user_id,notnull"`
	ParentID   string `bun:"parent_id,notnull"`
	Name       string `bun:"name,notnull"`
	Scopes     string `bun:"scopes,notnull"`
	Hash       []byte `bun:"hash,notnull"`
	CreatedAt  int64  `bun:"created_at,notnull"`
	ExpiresAt  int64  `bun:"expires_at,notnull"`
	LastUsedAt int64  `bun:"last_used_at,notnull"`
}

type audit010 struct {
	bun.BaseModel `bun:"table:audit"`

	Seq        int64  `bun:"seq,pk,autoincrement"`
	At         int64  `bun:"at,notnull"`
	Action     string `bun:"action,notnull"`
	Target     string `bun:"target,notnull"`
	Outcome    string `bun:"outcome,notnull"`
	Reason     string `bun:"reason,notnull"`
	UserID     string `bun:"user_id,notnull"`
	Username   string `bun:"username,notnull"`
	Credential string `bun:"credential,notnull"`
	Address    string `bun:"address,notnull"`
	RequestID  string `bun:"request_id,notnull"`
	Repeated   int64  `bun:"repeated,notnull"`
}

// accounts adds API keys and the audit log. A user's keys are deleted with the user. A
// parent is not a foreign key, so that copies can insert the rows in any order. Audit rows have no
// foreign keys, because they are kept when their targets are deleted. A trigger prevents changes to
// them.
func accounts(ctx context.Context, db bun.IDB) error {
	_, err := db.NewCreateTable().Model((*apiKey010)(nil)).
		ForeignKey(`(user_id) REFERENCES users (id) ON DELETE CASCADE`).Exec(ctx)
	if err != nil {
		return err
	}
	if _, err := db.NewCreateTable().Model((*audit010)(nil)).Exec(ctx); err != nil {
		return err
	}
	statements := []string{
		`CREATE UNIQUE INDEX api_keys_name ON api_keys (user_id, name)`,
		`CREATE INDEX sessions_of_a_user ON sessions (user_id, id)`,
		`CREATE INDEX audit_user ON audit (user_id)`,
		`CREATE INDEX audit_target ON audit (target)`,
	}
	if db.Dialect().Name() == dialect.PG {
		statements = append(statements,
			`CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
			'BEGIN RAISE EXCEPTION ''a row of the audit never changes''; END'`,
			`CREATE TRIGGER audit_is_append_only BEFORE UPDATE ON audit FOR EACH ROW EXECUTE FUNCTION audit_is_append_only()`)
	} else {
		statements = append(statements,
			`CREATE TRIGGER audit_is_append_only BEFORE UPDATE ON audit
			BEGIN SELECT RAISE(ABORT, 'a row of the audit never changes'); END`)
	}
	for _, statement := range statements {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
