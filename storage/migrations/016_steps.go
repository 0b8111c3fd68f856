package migrations

import (
	"context"

	"github.com/uptrace/bun"
)

// steps adds the column for the tool calls that led to an answer, with their results. It is empty, or the
// JSON of these messages.
func steps(ctx context.Context, db bun.IDB) error {
	_, err := db.ExecContext(ctx, `ALTER TABLE messages ADD COLUMN steps VARCHAR NOT NULL DEFAULT ''`)
	return err
}
