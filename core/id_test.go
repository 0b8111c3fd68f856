package core

import (
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestNewIDSortsByCreationOrder(t *testing.T) {
	t.Parallel()
	ids := make([]string, 10000)
	for i := range ids {
		ids[i] = NewID("msg")
	}
	if !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != len(ids) {
		t.Error("the ids are not strictly increasing")
	}
	if !regexp.MustCompile(`^msg-[0-9a-hjkmnp-tv-z]{26}$`).MatchString(ids[0]) {
		t.Errorf("NewID = %q, want msg- and 26 characters", ids[0])
	}
}

func TestNewIDIsUniqueAcrossGoroutines(t *testing.T) {
	t.Parallel()
	var seen sync.Map
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				if _, twice := seen.LoadOrStore(NewID("run"), true); twice {
					t.Error("NewID returned the same id twice")
				}
			}
		})
	}
	wg.Wait()
}

func TestDerivedID(t *testing.T) {
	t.Parallel()
	before := NewID("file")
	at := time.Now()
	id := DerivedID("file", at, "run-1 7")
	if id != DerivedID("file", at.UTC(), "run-1 7") {
		t.Error("equal arguments give different ids")
	}
	if id == DerivedID("file", at, "run-1 8") || id == DerivedID("file", at.Add(1), "run-1 7") {
		t.Error("different arguments give equal ids")
	}
	if len(id) != len(before) || id < before || id > NewID("file") {
		t.Errorf("DerivedID = %q, which does not sort between %q and a new id", id, before)
	}
}
