package storage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/uptrace/bun"
	bundialect "github.com/uptrace/bun/dialect"
	"github.com/uptrace/bun/schema"

	"github.com/agentarea/agentarea/core"
)

// copied describes a table that Copy copies.
type copied struct {
	name string
	// key contains the columns that order the rows.
	key []string
	// counter is the column that the database numbers automatically. It can be empty.
	counter string
}

// copiedTables contains each table after the tables that it refers to. It omits the active servers
// (leases, servers), the id of the database (instance), the recent request counts (rate_counts), the applied
// migrations, and the job queue, which is rebuilt from the pending tasks.
var copiedTables = []copied{
	{name: "users", key: []string{"id"}},
	{name: "idempotency_keys", key: []string{"user_id", "key"}},
	{name: "logins", key: []string{"id"}},
	{name: "api_keys", key: []string{"id"}},
	{name: "audit", key: []string{"seq"}, counter: "seq"},
	{name: "agents", key: []string{"id"}},
	{name: "sessions", key: []string{"key"}},
	{name: "messages", key: []string{"position"}, counter: "position"},
	{name: "runs", key: []string{"id"}},
	{name: "tool_lists", key: []string{"hash"}},
	{name: "calls", key: []string{"run_id", "number"}},
	{name: "events", key: []string{"run_id", "first"}},
	{name: "files", key: []string{"id"}},
	{name: "orphans", key: []string{"backend", "key"}},
	{name: "file_usage", key: []string{"user_id"}},
	{name: "mcp_servers", key: []string{"id"}},
	{name: "reserved_slugs", key: []string{"slug"}},
	{name: "tasks", key: []string{"id"}},
	{name: "notices", key: []string{"seq"}, counter: "seq"},
	{name: "token_usage", key: []string{"seq"}, counter: "seq"},
}

const (
	copyRows  = 200     // rows per read
	copyBytes = 4 << 20 // approximate size of an INSERT statement
)

// CopiedTable is the result of copying one table.
type CopiedTable struct {
	Name string
	Rows int
	// Sum is a checksum of the rows. It does not depend on their order.
	Sum string
}

// Copy copies all tables of one database to another one, which must be empty, in one transaction. It
// verifies the row counts and checksums of both sides. On failure it changes nothing. Both databases
// must have the current schema and no active servers. Copy calls done for each verified table.
func Copy(ctx context.Context, from, to *DB, done func(CopiedTable)) error {
	if err := from.checkCurrent(ctx); err != nil {
		return fmt.Errorf("the database to copy from: %w", err)
	}
	if err := to.checkCurrent(ctx); err != nil {
		return fmt.Errorf("the database to copy to: %w", err)
	}
	return copyAll(ctx, from, to, done)
}

// copyAll does the work of Copy for databases that have the same schema.
func copyAll(ctx context.Context, from, to *DB, done func(CopiedTable)) error {
	source, err := from.snapshot(ctx)
	if err != nil {
		return fmt.Errorf("the database to copy from: %w", from.translate(err))
	}
	defer source.end() //nolint:contextcheck // it must end even if ctx is done
	tables, err := to.copied(ctx)
	if err != nil {
		return fmt.Errorf("the database to copy to: %w", err)
	}
	err = to.writer.do(ctx, func(_ context.Context, tx *tx) error {
		for _, t := range tables {
			if err := t.mustBeEmpty(ctx, tx); err != nil {
				return err
			}
		}
		for _, t := range tables {
			got, err := t.copy(ctx, source, tx)
			if err != nil {
				return fmt.Errorf("table %s: %w", t.name, err)
			}
			done(got)
		}
		return to.refillQueue(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("nothing was copied: %w", err)
	}
	return nil
}

// copied returns the entries of copiedTables that exist in the database. Some are missing if its schema
// is older.
func (db *DB) copied(ctx context.Context) ([]copied, error) {
	names, err := db.tables(ctx)
	if err != nil {
		return nil, err
	}
	var tables []copied
	for _, t := range copiedTables {
		if slices.Contains(names, t.name) {
			tables = append(tables, t)
		}
	}
	return tables, nil
}

// snapshot is a connection with a read-only transaction, which sees the database at one moment.
type snapshot struct {
	bun.Conn
}

// snapshot begins a read-only transaction. The caller must call end.
func (db *DB) snapshot(ctx context.Context) (*snapshot, error) {
	conn, err := db.read.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.ExecContext(ctx, db.dialect.beginSnapshot()); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return &snapshot{conn}, nil
}

// end ends the transaction and returns the connection to the pool.
func (s *snapshot) end() {
	_, _ = s.ExecContext(context.Background(), "ROLLBACK")
	_ = s.Close()
}

func (t copied) mustBeEmpty(ctx context.Context, db bun.IDB) error {
	hasRows, err := db.NewSelect().Table(t.name).Exists(ctx)
	if err == nil && hasRows {
		return fmt.Errorf("the database to copy to is not empty, because its table %s has rows: use a new database", t.name)
	}
	return err
}

func (t copied) copy(ctx context.Context, from, to bun.IDB) (CopiedTable, error) {
	booleans, err := t.booleans(ctx, to)
	if err != nil {
		return CopiedTable{}, err
	}
	read, err := t.each(ctx, from, func(page []map[string]any) error {
		for _, row := range page {
			for _, column := range booleans {
				row[column] = row[column] == int64(1) || row[column] == true
			}
		}
		return t.insert(ctx, to, page)
	})
	if err != nil {
		return read, err
	}
	written, err := t.each(ctx, to, func([]map[string]any) error { return nil })
	if err != nil {
		return read, err
	}
	if written != read {
		return read, fmt.Errorf("read %d rows with checksum %s, but stored %d rows with checksum %s",
			read.Rows, read.Sum, written.Rows, written.Sum)
	}
	if t.counter == "" {
		return read, nil
	}
	last, err := t.lastNumber(ctx, from)
	if err != nil {
		return read, err
	}
	return read, t.setLastNumber(ctx, to, last)
}

// each reads all rows in pages, calls page for each, and returns their count and checksum.
func (t copied) each(ctx context.Context, db bun.IDB, page func([]map[string]any) error) (CopiedTable, error) {
	key := strings.Join(t.key, ", ")
	total := [sha256.Size]byte{}
	seen := CopiedTable{Name: t.name}
	var after []any
	for {
		q := db.NewSelect().Table(t.name).OrderExpr(key).Limit(copyRows)
		if after != nil {
			q = q.Where("("+key+") > (?)", bun.List(after))
		}
		rows, err := scanMaps(ctx, q)
		if err != nil {
			return seen, err
		}
		if len(rows) == 0 {
			seen.Sum = hex.EncodeToString(total[:])
			return seen, nil
		}
		for _, row := range rows {
			for column, v := range row {
				if b, ok := v.([]byte); ok && b == nil {
					row[column] = []byte{} // SQLite's driver returns nil for an empty blob
				}
			}
			for i, b := range rowSum(row) {
				total[i] ^= b
			}
		}
		seen.Rows += len(rows)
		if err := page(rows); err != nil {
			return seen, err
		}
		after = nil
		for _, column := range t.key {
			after = append(after, rows[len(rows)-1][column])
		}
	}
}

// scanMaps returns the rows of a query as maps from column to value. bun's own scan into maps panics when a column
// is NULL in the first row of a SQLite table and a blob in a later one.
func scanMaps(ctx context.Context, q *bun.SelectQuery) ([]map[string]any, error) {
	rows, err := q.Rows(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	var all []map[string]any
	for rows.Next() {
		values := make([]any, len(types))
		targets := make([]any, len(types))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := rows.Scan(targets...); err != nil {
			return nil, err
		}
		row := make(map[string]any, len(types))
		for i, typ := range types {
			if row[typ.Name()], err = typedValue(values[i], typ.ScanType()); err != nil {
				return nil, fmt.Errorf("column %s: %w", typ.Name(), err)
			}
		}
		all = append(all, row)
	}
	return all, rows.Err()
}

// typedValue returns a value as its column's type. Drivers return the values of some types as bytes.
func typedValue(value any, typ reflect.Type) (any, error) {
	b, ok := value.([]byte)
	if !ok || typ == nil || typ.Kind() == reflect.Interface || typ == reflect.TypeFor[[]byte]() {
		return value, nil
	}
	typed := reflect.New(typ).Elem()
	if err := schema.Scanner(typ)(typed, b); err != nil {
		return nil, err
	}
	return typed.Interface(), nil
}

// booleans returns the names of the boolean columns. It returns none for SQLite, which stores booleans
// as numbers.
func (t copied) booleans(ctx context.Context, db bun.IDB) (names []string, err error) {
	if onPostgres(db) {
		err = db.NewRaw("SELECT column_name FROM information_schema.columns "+
			"WHERE table_schema = current_schema() AND table_name = ? AND data_type = 'boolean'", t.name).Scan(ctx, &names)
	}
	return names, err
}

// rowSum returns the checksum of a row. It does not depend on the order of the columns.
func rowSum(row map[string]any) [sha256.Size]byte {
	h := sha256.New()
	for _, column := range slices.Sorted(maps.Keys(row)) {
		text := fmt.Sprint(row[column])
		switch v := row[column].(type) {
		case []byte:
			text = string(v)
		case bool:
			text = "0"
			if v {
				text = "1"
			}
		}
		_, _ = fmt.Fprintf(h, "%s %t %d %s\n", column, row[column] == nil, len(text), text)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

func (t copied) insert(ctx context.Context, db bun.IDB, rows []map[string]any) error {
	columns := slices.Sorted(maps.Keys(rows[0]))
	head := "INSERT INTO " + t.name + " (" + strings.Join(columns, ", ") + ") VALUES "
	place := "(?" + strings.Repeat(", ?", len(columns)-1) + ")"
	for len(rows) > 0 {
		var places []string
		var values []any
		for size := 0; len(places) < len(rows) && size < copyBytes; {
			row := rows[len(places)]
			for _, c := range columns {
				values = append(values, row[c])
				size += sizeOf(row[c])
			}
			places = append(places, place)
		}
		if _, err := db.NewRaw(head+strings.Join(places, ", "), values...).Exec(ctx); err != nil {
			return err
		}
		rows = rows[len(places):]
	}
	return nil
}

// sizeOf returns the approximate size of a value in a statement, in bytes.
func sizeOf(v any) int {
	switch v := v.(type) {
	case string:
		return len(v)
	case []byte:
		return 2 * len(v)
	default:
		return 8
	}
}

// refillQueue inserts a job for each pending task.
func (db *DB) refillQueue(ctx context.Context, tx *tx) error {
	var rows []taskRow
	err := tx.NewSelect().Model(&rows).Column("priority", "run_at").Where("status = ?", string(core.TaskPending)).Scan(ctx)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if err := db.insertJob(ctx, tx, core.TaskPriority(r.Priority), instant(r.RunAt)); err != nil {
			return err
		}
	}
	return nil
}

// lastNumber returns the highest number that the counter ever assigned, so that no number is reused.
func (t copied) lastNumber(ctx context.Context, db bun.IDB) (last int64, err error) {
	err = db.NewSelect().Table(t.name).ColumnExpr("coalesce(max("+t.counter+"), 0)").Scan(ctx, &last)
	if err != nil {
		return 0, err
	}
	var given int64
	if onPostgres(db) {
		err = db.NewRaw("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM "+t.sequence()).Scan(ctx, &given)
	} else {
		err = db.NewRaw("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = ?", t.name).Scan(ctx, &given)
	}
	return max(last, given), err
}

// setLastNumber makes the counter continue after last.
func (t copied) setLastNumber(ctx context.Context, db bun.IDB, last int64) (err error) {
	if onPostgres(db) {
		_, err = db.NewRaw("SELECT setval(?, ?, ?)", t.sequence(), max(last, 1), last > 0).Exec(ctx)
		return err
	}
	if _, err = db.NewRaw("DELETE FROM sqlite_sequence WHERE name = ?", t.name).Exec(ctx); err == nil {
		_, err = db.NewRaw("INSERT INTO sqlite_sequence (name, seq) SELECT name, ? FROM sqlite_master "+
			"WHERE type = 'table' AND name = ? AND sql LIKE '%AUTOINCREMENT%'", last, t.name).Exec(ctx)
	}
	return err
}

func onPostgres(db bun.IDB) bool { return db.Dialect().Name() == bundialect.PG }

// sequence returns the name of the PostgreSQL sequence of the counter.
func (t copied) sequence() string { return t.name + "_" + t.counter + "_seq" }
