package storage_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/storage"
	"github.com/agentarea/agentarea/storage/storagetest"
	"github.com/agentarea/agentarea/test/dbtest"
	"github.com/agentarea/agentarea/test/testenv"
)

func TestSQLite(t *testing.T) {
	t.Parallel()
	setRapidChecks(t, testenv.Rounds(20, 100))
	storagetest.Run(t, func(t *testing.T) storagetest.Stores {
		// The path contains characters with a special meaning in URLs.
		path := filepath.Join(t.TempDir(), "a b?c%20#d&e.db")
		dbtest.Create(t, path)
		db, err := storage.Open(t.Context(), "sqlite://"+path, storage.Options{})
		must(t, err)
		return db
	})
}

func TestSQLite_limits(t *testing.T) {
	t.Parallel()
	storagetest.RunLimits(t, func(t *testing.T) storagetest.Stores {
		path := newPath(t)
		dbtest.Create(t, path)
		db, err := storage.Open(t.Context(), "sqlite://"+path, storage.Options{ObjectLimits: storagetest.LimitsOfTest})
		must(t, err)
		return db
	})
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	notADatabase := newPath(t)
	must(t, os.WriteFile(notADatabase, []byte(strings.Repeat("not a database", 100)), 0o600))
	for url, want := range map[string]string{
		"":                                   "sqlite://",
		"data/agentarea.db":                  "sqlite://",
		"sqlite://":                          "sqlite://",
		"mysql://user:secret@host/db":        "sqlite://",
		"sqlite://" + t.TempDir() + "/no/db": "no such file or directory",
		"sqlite://" + t.TempDir():            "unable to open database file",
		"sqlite://" + notADatabase:           "not a database",
	} {
		db, err := storage.Open(t.Context(), url, storage.Options{})
		if err == nil {
			must(t, db.Close())
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want an error that contains %q", url, err, want)
		}
	}
}

// TestPrivateFiles checks the modes of the files, which contain password hashes.
func TestPrivateFiles(t *testing.T) {
	t.Parallel()
	_, path := openNew(t, storage.Options{})
	files, err := filepath.Glob(path + "*")
	must(t, err)
	if len(files) != 3 {
		t.Fatalf("got files %q, want the database, its log and the index of the log", files)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", f, info.Mode())
		}
	}
}

// TestPlans checks that no prepared statement scans a whole table, so that turns do not become slower
// with the number of sessions and runs.
func TestPlans(t *testing.T) {
	t.Parallel()
	db, _ := openNew(t, storage.Options{})
	queries := append(
		storage.PreparedStatements(),
		"SELECT id FROM runs WHERE session_key = ? AND status IN ('running', 'waiting_approval')",
		"SELECT id FROM runs WHERE owner = ? AND status IN ('running', 'waiting_approval')",
		"SELECT key FROM sessions WHERE agent_id = ? AND user_id = ? ORDER BY updated_at DESC",
		"DELETE FROM sessions WHERE key = ?",
		"SELECT * FROM files AS f WHERE f.created_by = ? ORDER BY created_at DESC, id DESC LIMIT 20",
		"SELECT * FROM files AS f ORDER BY created_at DESC, id DESC LIMIT 20",
		"SELECT * FROM files AS f WHERE backend = ? AND id > ? ORDER BY id LIMIT 20",
		"SELECT backend, key FROM orphans WHERE sweep_at <= ? ORDER BY sweep_at LIMIT 20",
		// The lists of members, and the counts for the limits of objects.
		"SELECT count(*) FROM agents AS a WHERE (a.created_by = ? OR a.shared = TRUE)",
		"SELECT count(*) FROM agents AS a WHERE created_by = ?",
		"SELECT count(*) FROM mcp_servers AS m WHERE (m.created_by = ? OR m.shared = TRUE)",
		"SELECT count(*) FROM mcp_servers AS m WHERE created_by = ?",
		"SELECT * FROM tasks AS t WHERE t.user_id = ? ORDER BY t.created_at DESC LIMIT 20",
		// The pages of lists after a cursor.
		"SELECT * FROM tasks AS t WHERE t.user_id = ? AND (t.created_at, t.id) < (?, ?) ORDER BY t.created_at DESC, t.id DESC LIMIT 20",
		"SELECT * FROM files AS f WHERE f.created_by = ? AND (f.created_at, f.id) < (?, ?) ORDER BY created_at DESC, id DESC LIMIT 20",
		"SELECT * FROM audit AS a WHERE a.seq < ? ORDER BY seq DESC LIMIT 20",
		"SELECT * FROM sessions AS s WHERE agent_id = ? AND user_id = ? AND (s.updated_at, s.key) < (?, ?) ORDER BY updated_at DESC",
	)
	// These scans are acceptable: there are few active runs, an admin's list reads only one page, and
	// some subqueries have one row.
	fine := regexp.MustCompile("runs_under_way|files_newest|CONSTANT ROW")
	for _, q := range queries {
		var plan []struct {
			ID, Parent, Notused int
			Detail              string
		}
		args := make([]any, strings.Count(q, "?"))
		must(t, db.Reader().NewRaw("EXPLAIN QUERY PLAN "+q, args...).Scan(t.Context(), &plan))
		for _, step := range plan {
			scans := strings.HasPrefix(step.Detail, "SCAN ") && !fine.MatchString(step.Detail)
			if scans || strings.Contains(step.Detail, "USE TEMP B-TREE FOR ORDER BY") &&
				!strings.Contains(q, "updated_at DESC") {
				t.Errorf("statement scans a table: %s\n\t%s", q, step.Detail)
			}
		}
	}
}

// TestLargeColumnsAreLast checks that a list reads only the beginning of rows that can have megabytes. SQLite keeps
// a large row in a chain of pages, and reads it up to the last column that a statement uses.
func TestLargeColumnsAreLast(t *testing.T) {
	t.Parallel()
	db, _ := openNew(t, storage.Options{})
	for table, large := range map[string][]string{
		"agents": {"config"}, "mcp_servers": {"config", "secrets"}, "tasks": {"data", "input", "result", "error"},
	} {
		var columns []string
		must(t, db.Reader().NewRaw("SELECT name FROM pragma_table_info(?)", table).Scan(t.Context(), &columns))
		if got := columns[len(columns)-len(large):]; !slices.Equal(got, large) {
			t.Errorf("table %s ends with the columns %q, want %q", table, got, large)
		}
	}
}

// After a clean stop, the database is one file, which can be copied.
func TestClose_leavesOneFile(t *testing.T) {
	t.Parallel()
	db, path := openNew(t, storage.Options{})
	// This executes a prepared statement.
	_, err := db.DeleteFile(t.Context(), nil, core.Actor{}, "file-none", 0, time.Now())
	if core.CodeOf(err) != core.CodeNotFound {
		t.Errorf("DeleteFile() = %v, want NotFound", err)
	}
	must(t, db.Close())
	if files, err := filepath.Glob(path + "*"); len(files) != 1 {
		t.Errorf("after Close the database consists of %q, %v, want one file", files, err)
	}
}
