package storage_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/storage"
	"github.com/agentarea/agentarea/test/testenv"
)

// filesForever creates files, deletes every second one and moves every third of the rest. It prints each
// acknowledged step.
func filesForever(ctx context.Context, path string) error {
	db, err := storage.Open(ctx, "sqlite://"+path, storage.Options{})
	if err != nil {
		return err
	}
	if err := db.Migrate(ctx); err != nil {
		return err
	}
	failed := make(chan error)
	for i := range 8 {
		go func() {
			for n := 0; ; n++ {
				if err := fileSteps(ctx, db, fmt.Sprint("user-", i%2), n); err != nil {
					failed <- err
					return
				}
			}
		}()
	}
	return <-failed
}

func fileSteps(ctx context.Context, db *storage.DB, user string, n int) error {
	now := time.Now()
	reserve := func(b core.Blob) error {
		err := db.ReserveBlob(ctx, b, now)
		fmt.Println("reserved", b.Key)
		return err
	}
	file := &core.File{
		ID: core.NewID("file"), Size: int64(n), CreatedBy: user, CreatedAt: now,
		Blob: core.Blob{Backend: "local", Key: core.NewID("blob")},
	}
	if err := errors.Join(reserve(file.Blob), db.CreateFile(ctx, nil, file, 0)); err != nil {
		return err
	}
	switch {
	case n%2 == 0:
		_, err := db.DeleteFile(ctx, nil, core.Actor{UserID: user}, file.ID, 1, now)
		fmt.Println("deleted", file.ID)
		return err
	case n%3 == 0:
		to := core.Blob{Backend: "s3", Key: core.NewID("blob")}
		err := errors.Join(reserve(to), db.MoveFile(ctx, nil, file.ID, file.Blob, to, now))
		fmt.Println("moved", file.ID)
		return err
	default:
		fmt.Println("stored", file.ID)
		return nil
	}
}

// TestKilledFiles checks the database after SIGKILL at any moment. Each key belongs to a file or a pending
// blob, the usage of users is the sum of their files, and acknowledged steps are stored.
func TestKilledFiles(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	steps := []string{}
	for round := range 3 {
		p := startProcess(t, "files", path)
		for range 50 + testenv.Rounds(50, 200)*round {
			steps = append(steps, p.line(t))
		}
		steps = append(steps, p.kill(t)...)

		db, err := storage.Open(t.Context(), "sqlite://"+path, storage.Options{})
		must(t, err)
		must(t, db.Migrate(t.Context()))
		checkIntegrity(t, db)
		checkAcknowledgedFiles(t, db, steps)
		wantNone(t, db, "pending blobs of files", `SELECT f.id FROM files AS f
JOIN orphans AS o ON o.backend = f.backend AND o.key = f.key`)
		wantNone(t, db, "not counted as they are", `SELECT u.user_id FROM file_usage AS u
WHERE (u.bytes, u.files) <> (SELECT coalesce(sum(f.size), 0), count(*) FROM files AS f WHERE f.created_by = u.user_id)`)
		must(t, db.Close())
	}
}

// wantNone fails the test if the query returns rows.
func wantNone(t *testing.T, db *storage.DB, what, query string) {
	t.Helper()
	var found []string
	must(t, db.Reader().NewRaw(query).Scan(t.Context(), &found))
	if len(found) > 0 {
		t.Fatalf("%s: %q", what, found)
	}
}

// checkAcknowledgedFiles fails the test if an acknowledged step is not stored.
func checkAcknowledgedFiles(t *testing.T, db *storage.DB, steps []string) {
	t.Helper()
	for _, line := range steps {
		what, id, _ := strings.Cut(line, " ")
		if len(id) != len(core.NewID("file")) {
			continue // the kill interrupted the line
		}
		if what == "reserved" {
			var n int
			must(t, db.Reader().NewRaw(`SELECT (SELECT count(*) FROM files WHERE key = ?) +
(SELECT count(*) FROM orphans WHERE key = ?)`, id, id).Scan(t.Context(), &n))
			if n != 1 {
				t.Fatalf("%s was acknowledged, but the key is stored %d times, want 1", line, n)
			}
			continue
		}
		f, err := db.File(t.Context(), core.Actor{Role: core.RoleAdmin}, id)
		switch {
		case what == "deleted" && core.CodeOf(err) != core.CodeNotFound,
			what != "deleted" && err != nil,
			what == "moved" && f.Blob.Backend != "s3":
			t.Fatalf("%s was acknowledged, but File = %+v, %v", line, f, err)
		}
	}
}

// TestFilesOfTwoServers checks that two servers on one database claim each pending blob once and enforce
// one quota.
func TestFilesOfTwoServers(t *testing.T) {
	t.Parallel()
	ctx, now := t.Context(), time.Now()
	first, path := openNew(t, storage.Options{})
	servers := []*storage.DB{first, openAt(t, path, storage.Options{})}
	const files = 40
	for i := range files {
		must(t, first.ReserveBlob(ctx, core.Blob{Backend: "local", Key: fmt.Sprint(i)}, now))
	}
	type outcome struct {
		stored, claimed int
		err             error
	}
	outcomes := make(chan outcome)
	for s, db := range servers {
		go func() {
			var o outcome
			for i := s; i < files && o.err == nil; i += len(servers) {
				f := &core.File{
					ID: fmt.Sprint(i), Size: 10, CreatedBy: "ada", Blob: core.Blob{Backend: "local", Key: fmt.Sprint(i)},
				}
				err := db.CreateFile(ctx, nil, f, 100)
				switch core.CodeOf(err) {
				case core.CodeConflict, core.CodePayloadTooLarge:
				default:
					o.err = err
				}
				if err == nil {
					o.stored++
				}
				claimed, err := db.ClaimPendingBlobs(ctx, now, now.Add(time.Hour), 1)
				o.claimed += len(claimed)
				o.err = errors.Join(o.err, err)
			}
			outcomes <- o
		}()
	}
	var sum outcome
	for range servers {
		o := <-outcomes
		must(t, o.err)
		sum.stored += o.stored
		sum.claimed += o.claimed
	}
	rest, err := first.ClaimPendingBlobs(ctx, now, now.Add(time.Hour), files)
	must(t, err)
	used, err := first.FileUsage(ctx, "ada")
	must(t, err)
	if used > 100 || used != int64(10*sum.stored) || sum.stored+sum.claimed+len(rest) != files {
		t.Fatalf("got %+v, usage %d bytes, %d pending blobs left", sum, used, len(rest))
	}
}

// TestFilesFullDisk checks that file writes fail with InsufficientStorage while the disk is full and
// store nothing, that reads still work, and that writes work again when there is space.
func TestFilesFullDisk(t *testing.T) {
	t.Parallel()
	ctx, now := t.Context(), time.Now()
	db, _ := openNew(t, storage.Options{})
	ada := core.Actor{UserID: "ada"}
	big := json.RawMessage(`{"a":"` + strings.Repeat("x", 100_000) + `"}`)
	blob := core.Blob{Backend: "local", Key: "1"}
	must(t, db.ReserveBlob(ctx, blob, now))
	must(t, db.CreateFile(ctx, nil, &core.File{ID: "file-1", Size: 5, CreatedBy: "ada", Blob: blob}, 0))
	next := core.Blob{Backend: "local", Key: "2"}
	must(t, db.ReserveBlob(ctx, next, now))

	file := &core.File{ID: "file-2", Size: 5, Metadata: big, CreatedBy: "ada", Blob: next}
	for what, write := range map[string]func() error{
		"ReserveBlob": func() error { return db.ReserveBlob(ctx, core.Blob{Backend: "local", Key: string(big)}, now) },
		"CreateFile":  func() error { return db.CreateFile(ctx, nil, file, 0) },
		"UpdateFile": func() error {
			return db.UpdateFile(ctx, nil, ada, &core.File{ID: "file-1", Version: 1, Metadata: big})
		},
	} {
		limitPages(t, db, 1) // repeated, because the committer may have reconnected after a failure
		err := write()
		var e *core.Error
		if !errors.As(err, &e) || e.Code != core.CodeInsufficientStorage ||
			e.Message != "The disk of the database is full. Free some space on it" {
			t.Errorf("%s: got %v, want InsufficientStorage", what, err)
		}
	}
	used, err := db.FileUsage(ctx, "ada")
	must(t, err)
	_, total, err := db.Files(ctx, ada, core.FileFilter{})
	must(t, err)
	if used != 5 || total != 1 {
		t.Errorf("got usage %d bytes and %d files", used, total)
	}

	limitPages(t, db, 1<<30)
	must(t, db.CreateFile(ctx, nil, file, 0))
	checkIntegrity(t, db)
}

// limitPages limits the size of the database. A limit below the current size has the effect of the
// current size.
func limitPages(t *testing.T, db *storage.DB, pages int) {
	t.Helper()
	must(t, db.Write(t.Context(), func(ctx context.Context, db bun.IDB) error {
		var now int
		return db.NewRaw("PRAGMA max_page_count = ?", pages).Scan(ctx, &now)
	}))
}
