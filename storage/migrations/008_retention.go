package migrations

import (
	"context"

	"github.com/uptrace/bun"
)

// retention adds the indexes that find old rows.
func retention(ctx context.Context, db bun.IDB) error {
	for _, index := range []string{
		`CREATE INDEX runs_ended ON runs (ended_at) WHERE ended_at > 0`,
		`CREATE INDEX tasks_ended ON tasks (ended_at) WHERE ended_at > 0`,
		`CREATE INDEX sessions_updated ON sessions (updated_at)`,
	} {
		if _, err := db.ExecContext(ctx, index); err != nil {
			return err
		}
	}
	return nil
}
