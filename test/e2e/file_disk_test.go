package e2e_test

import (
	"database/sql"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/uptrace/bun/driver/pgdriver"
	_ "modernc.org/sqlite"
)

// objects returns the names of a local backend's objects on the disk, and their sizes in ascending
// order. folder is relative to the data folder of the plugins.
func (s *server) objects(folder string) (names []string, sizes []int64) {
	s.t.Helper()
	return listFiles(s.t, filepath.Join(s.dir, "data", "plugins", folder, "objects"))
}

// listFiles returns the names and sizes of all files below a folder. If there is no such folder, it
// returns none.
func listFiles(t *testing.T, folder string) (names []string, sizes []int64) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed in the meantime
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			names, sizes = append(names, d.Name()), append(sizes, info.Size())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(sizes)
	return names, sizes
}

// wantObjects checks that a local backend has objects of exactly these sizes and no incomplete ones.
func (s *server) wantObjects(folder string, want ...int64) {
	s.t.Helper()
	slices.Sort(want)
	names, got := s.objects(folder)
	if !slices.Equal(got, want) {
		s.t.Errorf("got objects %v of %d bytes, want sizes %d", names, got, want)
	}
	if parts, _ := listFiles(s.t, filepath.Join(s.dir, "data", "plugins", folder, "parts")); len(parts) != 0 {
		s.t.Errorf("got incomplete objects %v, want none", parts)
	}
}

// waitObjects waits until wantObjects holds.
func (s *server) waitObjects(folder string, want ...int64) {
	s.t.Helper()
	slices.Sort(want)
	deadline := time.Now().Add(waitTimeout)
	for time.Now().Before(deadline) {
		_, got := s.objects(folder)
		parts, _ := listFiles(s.t, filepath.Join(s.dir, "data", "plugins", folder, "parts"))
		if slices.Equal(got, want) && len(parts) == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	s.wantObjects(folder, want...)
}

// database opens the database of a server that does not run.
func (s *server) database() *sql.DB {
	s.t.Helper()
	driver, source := "sqlite", filepath.Join(s.dir, "data", "agentarea.db")
	if s.databaseURL != "" {
		driver, source = "pg", s.databaseURL+"?sslmode=disable"
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = db.Close() })
	return db
}

// wantObjectsKnown checks that the database of a stopped server knows each object on the disk, so
// that no object can stay forever.
func (s *server) wantObjectsKnown(folder string) {
	s.t.Helper()
	db := s.database()
	defer func() { _ = db.Close() }()
	names, _ := s.objects(folder)
	for _, name := range names {
		var known int
		key := "%/" + strings.TrimSuffix(name, ".f")
		err := db.QueryRow(
			`SELECT (SELECT count(*) FROM files WHERE key LIKE ?1) + (SELECT count(*) FROM orphans WHERE key LIKE ?1)`, key,
		).Scan(&known)
		if err != nil {
			s.t.Fatal(err)
		}
		if known != 1 {
			s.t.Errorf("the database has %s %d times, want once", name, known)
		}
	}
}

// expirePending makes the pending blobs of a stopped server due for removal, as if an hour had passed.
func (s *server) expirePending() {
	s.t.Helper()
	db := s.database()
	defer func() { _ = db.Close() }()
	if _, err := db.Exec(`UPDATE orphans SET sweep_at = sweep_at - ?`, time.Hour.Microseconds()); err != nil {
		s.t.Fatal(err)
	}
}

// pendingBlobs returns the number of pending blobs of a stopped server.
func (s *server) pendingBlobs() int {
	s.t.Helper()
	db := s.database()
	defer func() { _ = db.Close() }()
	var n int
	if err := db.QueryRow(`SELECT count(*) FROM orphans`).Scan(&n); err != nil {
		s.t.Fatal(err)
	}
	return n
}

// slowReader reads at most 64 KiB at a time, with a pause before each read.
type slowReader struct {
	content io.Reader
	pause   time.Duration
	// read, if set, is called with the number of bytes read so far.
	read func(int64)
	n    int64
}

func (s *slowReader) Read(p []byte) (int, error) {
	time.Sleep(s.pause)
	n, err := s.content.Read(p[:min(len(p), 64<<10)])
	s.n += int64(n)
	if s.read != nil {
		s.read(s.n)
	}
	return n, err
}

// changeObject calls do for the object of that size.
func (s *server) changeObject(folder string, size int64, do func(path string, data []byte) error) {
	s.t.Helper()
	root := filepath.Join(s.dir, "data", "plugins", folder, "objects")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil || int64(len(data)) != size {
			return err
		}
		return do(path, data)
	})
	if err != nil {
		s.t.Fatal(err)
	}
}
