package migrations

import (
	"context"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"
)

// rates adds the table of request counts on PostgreSQL. It is unlogged, because the counts of the last
// minute can be lost in a crash. On SQLite the only server counts in memory. The table has no index
// except for the primary key, and free space in each page, so that updates stay within their page.
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
