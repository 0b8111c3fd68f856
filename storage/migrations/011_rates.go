package migrations

import (
	"context"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"
)

// rates are of the last minute, and may be lost with a server that crashes: a table
// without a log. SQLite has none, for its one server counts in memory. No index but
// the key's, and room in each page, so that an update stays in its page.
func rates(ctx context.Context, db bun.IDB) error {
	if db.Dialect().Name() != dialect.PG {
		return nil
	}
	_, err := db.ExecContext(ctx, `CREATE UNLOGGED TABLE rate_counts (
	key VARCHAR NOT NULL PRIMARY KEY,
	minute_count BIGINT NOT NULL,
	minute_end BIGINT NOT NULL,
	second_count BIGINT NOT NULL,
	second_end BIGINT NOT NULL,
	taken BOOLEAN NOT NULL,
	asked_at BIGINT NOT NULL
) WITH (fillfactor = 50)`)
	return err
}
