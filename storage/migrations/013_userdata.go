package migrations

import (
	"context"

	"github.com/uptrace/bun"
)

// userData adds an index that finds all sessions of a user, to delete and to export them.
func userData(ctx context.Context, db bun.IDB) error {
	_, err := db.ExecContext(ctx, `CREATE INDEX sessions_user ON sessions (user_id, key)`)
	return err
}
