package storage_test

import (
	"testing"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/storage"
	"github.com/agentarea/agentarea/storage/storagetest"
	"github.com/agentarea/agentarea/test/dbtest"
)

func TestSQLite_dataUsage(t *testing.T) {
	t.Parallel()
	storagetest.RunDataUsage(t, func(t *testing.T, limit int64) (storagetest.Stores, func(*testing.T, string) int64) {
		path := newPath(t)
		dbtest.Create(t, path)
		return openCounted(t, "sqlite://"+path, limit)
	})
}

func TestPostgres_dataUsage(t *testing.T) {
	t.Parallel()
	storagetest.RunDataUsage(t, func(t *testing.T, limit int64) (storagetest.Stores, func(*testing.T, string) int64) {
		return openCounted(t, dbtest.Postgres(t), limit)
	})
}

// openCounted opens a database with a limit of each user's bytes.
func openCounted(t *testing.T, url string, limit int64) (storagetest.Stores, func(*testing.T, string) int64) {
	t.Helper()
	db, err := storage.Open(t.Context(), url, storage.Options{ObjectLimits: core.ObjectLimits{DatabaseBytes: limit}})
	must(t, err)
	db.ReadUsageAlways()
	return db, func(t *testing.T, userID string) int64 {
		t.Helper()
		return storedBytes(t, db, userID)
	}
}

// ownedRows selects the texts of all rows that belong to a user.
var ownedRows = []string{
	`SELECT name, description, config, mcp_servers FROM agents WHERE created_by = ?`,
	`SELECT name, description, config, capabilities, secrets FROM mcp_servers WHERE created_by = ?`,
	`SELECT name, name_fold, metadata FROM files WHERE created_by = ?`,
	`SELECT title, description, data, input, result, error FROM tasks WHERE user_id = ?`,
	`SELECT data FROM notices WHERE user_id = ?`,
	`SELECT m.text, m.parts, m.steps, m.metadata FROM messages AS m
		JOIN sessions AS s ON s.key = m.session_key WHERE s.user_id = ?`,
	`SELECT r.config, r.mcp_servers, r.error FROM runs AS r
		JOIN sessions AS s ON s.key = r.session_key WHERE s.user_id = ?`,
	`SELECT c.request, c.result, c.error FROM calls AS c JOIN runs AS r ON r.id = c.run_id
		JOIN sessions AS s ON s.key = r.session_key WHERE s.user_id = ?`,
	`SELECT e.data FROM events AS e JOIN runs AS r ON r.id = e.run_id
		JOIN sessions AS s ON s.key = r.session_key WHERE s.user_id = ?`,
}

// ownedToolLists selects the lists of tools that runs of a user were the first to use. Runs are ordered by their
// ids, which increase.
const ownedToolLists = `SELECT l.data FROM tool_lists AS l WHERE ? = (SELECT s.user_id FROM calls AS c
JOIN runs AS r ON r.id = c.run_id JOIN sessions AS s ON s.key = r.session_key
WHERE c.tool_list = l.hash ORDER BY r.id LIMIT 1)`

// storedBytes reads all rows of a user and adds up the sizes of their texts, and 256 bytes for each row.
func storedBytes(t *testing.T, db *storage.DB, userID string) (total int64) {
	t.Helper()
	read := func(query string, perRow int64) {
		var rows []map[string]any
		must(t, db.Reader().NewRaw(query, userID).Scan(t.Context(), &rows))
		for _, row := range rows {
			total += perRow
			for _, value := range row {
				switch v := value.(type) {
				case string:
					total += int64(len(v))
				case []byte:
					total += int64(len(v))
				}
			}
		}
	}
	for _, query := range ownedRows {
		read(query, 256)
	}
	read(ownedToolLists, 0)
	return total
}
