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

// objects are the sizes of a local backend's objects, least first, by their
// names on the disk. folder is relative to the plugins' data.
func (s *server) objects(folder string) (names []string, sizes []int64) {
	s.t.Helper()
	return disk(s.t, filepath.Join(s.dir, "data", "plugins", folder, "objects"))
}

// disk gives the files of a folder and those in it; none when it is not there.
func disk(t *testing.T, folder string) (names []string, sizes []int64) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it has gone meanwhile
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

// wantObjects wants a local backend to have objects of these sizes, and nothing
// half-written.
func (s *server) wantObjects(folder string, want ...int64) {
	s.t.Helper()
	slices.Sort(want)
	names, got := s.objects(folder)
	if !slices.Equal(got, want) {
		s.t.Errorf("on the disk are %v of %d bytes, want %d", names, got, want)
	}
	if parts, _ := disk(s.t, filepath.Join(s.dir, "data", "plugins", folder, "parts")); len(parts) != 0 {
		s.t.Errorf("half-written are %v", parts)
	}
}

// awaitObjects waits until that is so.
func (s *server) waitObjects(folder string, want ...int64) {
	s.t.Helper()
	slices.Sort(want)
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		_, got := s.objects(folder)
		parts, _ := disk(s.t, filepath.Join(s.dir, "data", "plugins", folder, "parts"))
		if slices.Equal(got, want) && len(parts) == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	s.wantObjects(folder, want...)
}

// database opens that of a server which does not run.
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

// wantAllNamed wants each object on a dead server's disk to be known to its
// database, so that nothing can be left for ever.
func (s *server) wantObjectsKnown(folder string) {
	s.t.Helper()
	db := s.database()
	defer func() { _ = db.Close() }()
	names, _ := s.objects(folder)
	for _, name := range names {
		var known int
		key := "%/" + strings.TrimSuffix(name, ".f")
		err := db.QueryRow(`SELECT (SELECT count(*) FROM files WHERE key LIKE ?1) + (SELECT count(*) FROM orphans WHERE key LIKE ?1)`, key).Scan(&known)
		if err != nil {
			s.t.Fatal(err)
		}
		if known != 1 {
			s.t.Errorf("%s is known %d times", name, known)
		}
	}
}

// anHourPasses for what a server, which does not run now, has reserved and put
// off.
func (s *server) expirePending() {
	s.t.Helper()
	db := s.database()
	defer func() { _ = db.Close() }()
	if _, err := db.Exec(`UPDATE orphans SET sweep_at = sweep_at - ?`, time.Hour.Microseconds()); err != nil {
		s.t.Fatal(err)
	}
}

// orphans counts those of a server that does not run.
func (s *server) orphans() int {
	s.t.Helper()
	db := s.database()
	defer func() { _ = db.Close() }()
	var n int
	if err := db.QueryRow(`SELECT count(*) FROM orphans`).Scan(&n); err != nil {
		s.t.Fatal(err)
	}
	return n
}

// slowly reads a little at a time, with a pause before each.
type slowReader struct {
	content io.Reader
	pause   time.Duration
	// read is told how much was read so far, if it is there.
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

// meddle has something done to the object of that size.
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
