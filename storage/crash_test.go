package storage_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/storage"
	"github.com/agentarea/agentarea/test/testenv"
)

// writeForever executes turns and prints each acknowledged start and end.
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
	acknowledge := func(what, id string) {
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
				acknowledge("started", run.ID)
				if err := x.end(run); err != nil {
					failed <- err
					return
				}
				acknowledge("ended", run.ID)
			}
		}()
	}
	return <-failed
}

// TestKilled checks that SIGKILL at any moment loses no acknowledged write.
func TestKilled(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	lines := []string{}
	for round := range 4 {
		p := startProcess(t, "write", path)
		for range 50 + testenv.Rounds(50, 150)*round {
			lines = append(lines, p.line(t))
		}
		lines = append(lines, p.kill(t)...)

		db, err := storage.Open(t.Context(), "sqlite://"+path, storage.Options{})
		must(t, err)
		must(t, db.Migrate(t.Context()))
		checkIntegrity(t, db)
		checkAcknowledged(t, db, lines)
		must(t, db.Close())
	}
}

// checkAcknowledged fails the test if an acknowledged start or end is not stored.
func checkAcknowledged(t *testing.T, db *storage.DB, lines []string) {
	t.Helper()
	admin := core.Actor{Role: core.RoleAdmin}
	for _, line := range lines {
		what, id, complete := strings.Cut(line, " ")
		if !complete || len(id) != len(core.NewID("run")) {
			continue // the kill interrupted the line
		}
		run, err := db.Run(t.Context(), admin, id)
		if err != nil {
			t.Fatalf("%s was acknowledged, but Run = %v", line, err)
		}
		if _, err := db.Message(t.Context(), run.InputID); err != nil {
			t.Fatal(err)
		}
		if what != "ended" {
			continue
		}
		if run.Status != core.RunCompleted {
			t.Fatalf("%s was acknowledged, but the status is %s", line, run.Status)
		}
		events, err := db.Events(t.Context(), id, 0, 10)
		if _, missing := db.Message(t.Context(), run.AnswerID); missing != nil || err != nil || len(events) != 3 {
			t.Fatalf("%s was acknowledged, but Message = %v, Events = %v with %d events, want 3",
				line, missing, err, len(events))
		}
	}
}
