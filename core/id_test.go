package core

import (
	"regexp"
	"slices"
	"sync"
	"testing"
)

func TestNewIDSortsByTheOrderOfMaking(t *testing.T) {
	t.Parallel()
	ids := make([]string, 10000)
	for i := range ids {
		ids[i] = NewID("msg")
	}
	if !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != len(ids) {
		t.Error("not rising")
	}
	if !regexp.MustCompile(`^msg-[0-9a-hjkmnp-tv-z]{26}$`).MatchString(ids[0]) {
		t.Error(ids[0])
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
					t.Error("twice")
				}
			}
		})
	}
	wg.Wait()
}
