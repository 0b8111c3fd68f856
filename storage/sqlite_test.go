package storage_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/storage"
	"github.com/agentarea/agentarea/storage/storagetest"
	"github.com/agentarea/agentarea/test/dbtest"
	"github.com/agentarea/agentarea/test/testenv"
)

func TestSQLite(t *testing.T) {
	t.Parallel()
	setRapidChecks(t, testenv.Rounds(20, 100))
	storagetest.Run(t, func(t *testing.T) storagetest.Stores {
		// A path with what means something in a URL.
		path := filepath.Join(t.TempDir(), "a b?c%20#d&e.db")
		dbtest.Create(t, path)
		db, err := storage.Open(t.Context(), "sqlite://"+path, storage.Options{})
		must(t, err)
		return db
	})
}

func TestOpenRefuses(t *testing.T) {
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
			t.Errorf("%s: got %v, want it to say %q", url, err, want)
		}
	}
}

// TestPrivateFiles: password hashes are in there.
func TestPrivateFiles(t *testing.T) {
	t.Parallel()
	_, path := openNew(t, storage.Options{})
	files, err := filepath.Glob(path + "*")
	must(t, err)
	if len(files) != 3 {
		t.Fatal("the database, its log and the log's index are not there:", files)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v", f, info.Mode())
		}
	}
}

// TestPlans: nothing on the path of a turn reads a whole table, so a turn does
// not get slower as sessions and runs get more.
func TestPlans(t *testing.T) {
	t.Parallel()
	db, _ := openNew(t, storage.Options{})
	queries := append(
		storage.Hot(),
		"SELECT id FROM runs WHERE session_key = ? AND status IN ('running', 'waiting_approval')",
		"SELECT id FROM runs WHERE owner = ? AND status IN ('running', 'waiting_approval')",
		"SELECT key FROM sessions WHERE agent_id = ? AND user_id = ? ORDER BY updated_at DESC",
		"DELETE FROM sessions WHERE key = ?",
		"SELECT * FROM files AS f WHERE f.created_by = ? ORDER BY created_at DESC, id DESC LIMIT 20",
		"SELECT * FROM files AS f ORDER BY created_at DESC, id DESC LIMIT 20",
		"SELECT * FROM files AS f WHERE backend = ? AND id > ? ORDER BY id LIMIT 20",
		"SELECT backend, key FROM orphans WHERE sweep_at <= ? ORDER BY sweep_at LIMIT 20",
	)
	// The runs under way are few, an admin's list ends at its page, and one row is no table.
	fine := regexp.MustCompile("runs_under_way|files_newest|CONSTANT ROW")
	for _, q := range queries {
		var plan []struct {
			ID, Parent, Notused int
			Detail              string
		}
		args := make([]any, strings.Count(q, "?"))
		must(t, db.Reader().NewRaw("EXPLAIN QUERY PLAN "+q, args...).Scan(t.Context(), &plan))
		for _, step := range plan {
			whole := strings.HasPrefix(step.Detail, "SCAN ") && !fine.MatchString(step.Detail)
			if whole || strings.Contains(step.Detail, "USE TEMP B-TREE FOR ORDER BY") && !strings.Contains(q, "updated_at DESC") {
				t.Errorf("%s\n\t%s", q, step.Detail)
			}
		}
	}
}
