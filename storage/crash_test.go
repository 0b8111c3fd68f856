package storage_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/storage"
)

// writeForever runs turns, and says of each start and end that it was acknowledged.
func writeForever(ctx context.Context, path string) error {
	db, err := storage.Open(ctx, "sqlite://"+path, storage.Options{})
	if err != nil {
		return err
	}
	if err := db.Migrate(ctx); err != nil {
		return err
	}
	x, err := newBenchmark(ctx, db)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	say := func(what, id string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(what, id)
	}
	failed := make(chan error)
	for i := range 12 {
		go func() {
			for turn := 0; ; turn++ {
				run, _, err := x.start(fmt.Sprint("s", i, "-", turn%5))
				if err != nil {
					failed <- err
					return
				}
				say("started", run.ID)
				if err := x.end(run); err != nil {
					failed <- err
					return
				}
				say("ended", run.ID)
			}
		}()
	}
	return <-failed
}

// TestKilled: kill -9 at any moment loses nothing that was acknowledged.
func TestKilled(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	said := []string{}
	for round := range 4 {
		p := startProcess(t, "write", path)
		for range 50 + 150*round {
			said = append(said, p.line(t))
		}
		said = append(said, p.kill(t)...)

		db, err := storage.Open(t.Context(), "sqlite://"+path, storage.Options{})
		must(t, err)
		must(t, db.Migrate(t.Context()))
		checkIntegrity(t, db)
		checkSaid(t, db, said)
		must(t, db.Close())
	}
}

func checkSaid(t *testing.T, db *storage.DB, said []string) {
	t.Helper()
	admin := core.Actor{Role: core.RoleAdmin}
	for _, line := range said {
		what, id, whole := strings.Cut(line, " ")
		if !whole || len(id) != len(core.NewID("run")) {
			continue // cut by the kill
		}
		run, err := db.Run(t.Context(), admin, id)
		if err != nil {
			t.Fatalf("%s was acknowledged: %v", line, err)
		}
		if _, err := db.Message(t.Context(), run.InputID); err != nil {
			t.Fatal(err)
		}
		if what != "ended" {
			continue
		}
		if run.Status != core.RunCompleted {
			t.Fatalf("%s was acknowledged, and is %s", line, run.Status)
		}
		events, err := db.Events(t.Context(), id, 0, 10)
		if _, missing := db.Message(t.Context(), run.AnswerID); missing != nil || err != nil || len(events) != 3 {
			t.Fatalf("%s was acknowledged: %v, %v, %d events", line, missing, err, len(events))
		}
	}
}
