package migrations

import (
	"context"

	"github.com/uptrace/bun"
)

type idempotencyKey017 struct {
	bun.BaseModel `bun:"table:idempotency_keys"`

	UserID      string `bun:"user_id,pk"`
	Key         string `bun:"key,pk"`
	RequestHash []byte `bun:"request_hash,notnull"`
	Object      string `bun:"object,notnull"`
	CreatedAt   int64  `bun:"created_at,notnull"`
}

// idempotencyKeys adds a table for the keys of all requests. Tasks had their own, which are dropped: they expire
// within a day.
func idempotencyKeys(ctx context.Context, db bun.IDB) error {
	_, err := db.NewCreateTable().Model((*idempotencyKey017)(nil)).
		ForeignKey(`(user_id) REFERENCES users (id) ON DELETE CASCADE`).Exec(ctx)
	if err != nil {
		return err
	}
	for _, statement := range []string{
		`CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at)`,
		`DROP INDEX tasks_by_key`,
		`ALTER TABLE tasks DROP COLUMN idempotency_key`,
		`ALTER TABLE tasks DROP COLUMN request_hash`,
	} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
