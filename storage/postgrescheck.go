package storage

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/uptrace/bun"
)

// findDamage reads every row, because PostgreSQL finds a damaged page only when it reads it.
func (d *postgresDialect) findDamage(ctx context.Context, conn *bun.DB, found func(Problem)) error {
	var tables []string
	if err := conn.NewRaw(d.tables()).Scan(ctx, &tables); err != nil {
		return err
	}
	for _, t := range tables {
		// The text of a row needs all its columns, also those that are stored separately.
		_, err := conn.ExecContext(ctx, fmt.Sprintf("SELECT SUM(LENGTH(CAST(t AS text))) FROM %s AS t", quoteName(t)))
		var damaged *pgconn.PgError
		switch {
		case errors.As(err, &damaged):
			found(Problem{AspectIntegrity, fmt.Sprintf("the table %s cannot be read: %s", t, damaged.Message)})
		case err != nil:
			return err
		}
	}
	return scanPairs(ctx, conn, `SELECT i.relname, t.relname FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid
JOIN pg_class AS t ON t.oid = x.indrelid
WHERE NOT x.indisvalid AND i.relnamespace = current_schema()::regnamespace ORDER BY 1`,
		func(index, table string) {
			found(Problem{AspectIntegrity, fmt.Sprintf("the index %s of the table %s is not valid", index, table)})
		})
}

// foreignKeys selects the foreign keys of this schema. All of ours have one column.
const foreignKeys = `SELECT k.relname AS child, a.attname AS column, p.relname AS parent, b.attname AS key
FROM pg_constraint AS c JOIN pg_class AS k ON k.oid = c.conrelid JOIN pg_class AS p ON p.oid = c.confrelid
JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
JOIN pg_attribute AS b ON b.attrelid = c.confrelid AND b.attnum = c.confkey[1]
WHERE c.contype = 'f' AND c.connamespace = current_schema()::regnamespace AND cardinality(c.conkey) = 1 ORDER BY 1, 2`

func (*postgresDialect) findMissingParents(ctx context.Context, conn *bun.DB, found func(Problem)) error {
	var keys []struct{ Child, Column, Parent, Key string }
	if err := conn.NewRaw(foreignKeys).Scan(ctx, &keys); err != nil {
		return err
	}
	for _, k := range keys {
		var rows int
		err := conn.NewRaw(fmt.Sprintf("SELECT COUNT(*) FROM %s AS c WHERE c.%s IS NOT NULL AND NOT EXISTS "+
			"(SELECT 1 FROM %s AS p WHERE p.%s = c.%s)", quoteName(k.Child), quoteName(k.Column),
			quoteName(k.Parent), quoteName(k.Key), quoteName(k.Column))).Scan(ctx, &rows)
		if err != nil {
			return err
		}
		if rows > 0 {
			found(missingParents(k.Child, k.Parent, rows))
		}
	}
	return nil
}

// quoteName returns a name as an SQL identifier.
func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func (*postgresDialect) vacuum(ctx context.Context, conn *bun.DB, tables []string) error {
	for _, t := range tables {
		if _, err := conn.ExecContext(ctx, "VACUUM (ANALYZE) "+quoteName(t)); err != nil {
			return fmt.Errorf("table %s: %w", t, err)
		}
	}
	return nil
}

func (*postgresDialect) size() string { return "SELECT pg_database_size(current_database())" }
