package storage

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/uptrace/bun"
)

// exported describes a table of an export.
type exported struct {
	kind, table string
	// by is the column with the owner: the user, a session of the user, or a run of the user.
	by    string
	owner exportOwner
	// key is the column that orders the rows of one owner.
	key string
	// columns are the exported columns, separated by spaces. Columns that are not listed, such as hashes and
	// encrypted secrets, are not exported.
	columns string
}

// exportOwner is what the rows of a table belong to.
type exportOwner int

const (
	ofUser exportOwner = iota
	ofSession
	ofRun
)

// exportedTables are the tables with rows about a user.
var exportedTables = []exported{
	{"user", "users", "id", ofUser, "id", "id username email role disabled created_at updated_at"},
	{"idempotency_keys", "idempotency_keys", "user_id", ofUser, "key", "key object created_at"},
	{"logins", "logins", "user_id", ofUser, "id", "id created_at expires_at ended_at"},
	{"api_keys", "api_keys", "user_id", ofUser, "id", "id name scopes created_at expires_at last_used_at"},
	{
		"agents", "agents", "created_by", ofUser, "id",
		"id name description type status config model shared version created_at updated_at",
	},
	{
		"mcp_servers", "mcp_servers", "created_by", ofUser, "id",
		"id name description slug transport config shared version created_at updated_at",
	},
	{
		"files", "files", "created_by", ofUser, "id",
		"id name size content_type sha256 metadata version created_at updated_at",
	},
	{"sessions", "sessions", "user_id", ofUser, "key", "id agent_id messages created_at updated_at"},
	{
		"messages", "messages", "session_key", ofSession, "position",
		"id session_id agent_id run_id role text parts steps metadata created_at",
	},
	{
		"runs", "runs", "session_key", ofSession, "id",
		"id kind agent_id session_id task_id agent_type input_id answer_id status error model " +
			"input_tokens output_tokens cached_tokens reasoning_tokens created_at ended_at",
	},
	{
		"calls", "calls", "run_id", ofRun, "number",
		"run_id number kind request done result tool_list error model " +
			"input_tokens output_tokens cached_tokens reasoning_tokens started_at ended_at",
	},
	{"events", "events", "run_id", ofRun, "first", "run_id first last type data created_at"},
	{
		"tasks", "tasks", "user_id", ofUser, "id",
		"id agent_id title description priority data input status result error attempts max_attempts run_id " +
			"created_at updated_at started_at ended_at",
	},
	{"notifications", "notices", "user_id", ofUser, "seq", "seq type agent_id task_id data created_at"},
	{
		"usage", "token_usage", "user_id", ofUser, "seq",
		"day agent_id model completions input_tokens output_tokens cached_tokens reasoning_tokens",
	},
	{
		"audit", "audit", "user_id", ofUser, "seq",
		"seq at action target outcome reason username credential address request_id",
	},
}

const (
	// exportKeys is the number of sessions or runs in one read.
	exportKeys = 200
	// maxExportRows is the maximum number of rows in one read. The reads of a table start with one row, and
	// aim at exportBytes.
	maxExportRows = 64
	exportBytes   = 1 << 20
)

// ExportUser implements core.UserDataStore.
func (db *DB) ExportUser(ctx context.Context, userID string, row func(kind string, row json.RawMessage) error) error {
	for _, t := range exportedTables {
		write := func(owner string) error {
			return db.exportRows(ctx, t, owner, func(r json.RawMessage) error { return row(t.kind, r) })
		}
		var err error
		switch t.owner {
		case ofUser:
			err = write(userID)
		case ofSession:
			err = db.eachKey(ctx, "sessions", "key", "user_id", userID, write)
		case ofRun:
			err = db.eachKey(ctx, "sessions", "key", "user_id", userID, func(session string) error {
				return db.eachKey(ctx, "runs", "id", "session_key", session, write)
			})
		}
		if err != nil {
			return db.translate(err)
		}
	}
	return nil
}

// eachKey calls do with the key of each row of a table whose column by has the value owner.
func (db *DB) eachKey(ctx context.Context, table, key, by, owner string, do func(string) error) error {
	after := ""
	for {
		var keys []string
		err := db.read.NewSelect().Table(table).Column(key).Where("? = ?", bun.Ident(by), owner).
			Where("? > ?", bun.Ident(key), after).Order(key).Limit(exportKeys).Scan(ctx, &keys)
		if err != nil {
			return err
		}
		for _, k := range keys {
			if err := do(k); err != nil {
				return err
			}
		}
		if len(keys) < exportKeys {
			return nil
		}
		after = keys[len(keys)-1]
	}
}

// exportRows calls do with each row of one owner as JSON.
func (db *DB) exportRows(ctx context.Context, t exported, owner string, do func(json.RawMessage) error) error {
	columns := strings.Fields(t.columns)
	var after any
	for limit := 1; ; {
		var rows []map[string]any
		q := db.read.NewSelect().Table(t.table).Column(columns...).ColumnExpr("? AS export_key", bun.Ident(t.key)).
			Where("? = ?", bun.Ident(t.by), owner).Order(t.key).Limit(int64(limit))
		if after != nil {
			q = q.Where("? > ?", bun.Ident(t.key), after)
		}
		if err := q.Scan(ctx, &rows); err != nil {
			return err
		}
		size := 0
		for _, r := range rows {
			after = r["export_key"]
			delete(r, "export_key")
			line, err := json.Marshal(exportedRow(r))
			if err != nil {
				return err
			}
			size += len(line)
			if err := do(line); err != nil {
				return err
			}
		}
		if len(rows) < limit {
			return nil
		}
		limit = min(max(limit*exportBytes/max(size, 1), 1), 4*limit, maxExportRows)
	}
}

// exportedRow converts the columns of a row: times to RFC 3339, columns with JSON to JSON, and the booleans of
// SQLite to booleans. It leaves out times and JSON that are not set.
func exportedRow(row map[string]any) map[string]any {
	out := make(map[string]any, len(row))
	for column, value := range row {
		if b, ok := value.([]byte); ok {
			value = string(b)
		}
		text, isText := value.(string)
		number, isNumber := value.(int64)
		switch {
		case value == nil:
		case isNumber && (column == "at" || strings.HasSuffix(column, "_at")):
			if number != 0 {
				out[column] = instant(number)
			}
		case isNumber && (column == "disabled" || column == "shared" || column == "done"):
			out[column] = number != 0
		case isText && jsonColumns[column]:
			if json.Valid([]byte(text)) {
				out[column] = json.RawMessage(text)
			}
		default:
			out[column] = value
		}
	}
	return out
}

// jsonColumns are the columns that contain JSON.
var jsonColumns = map[string]bool{
	"config": true, "metadata": true, "parts": true, "steps": true, "request": true,
	"result": true, "error": true, "data": true, "input": true,
}
