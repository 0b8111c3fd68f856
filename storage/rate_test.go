package storage_test

import (
	"testing"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/storage"
	"github.com/agentarea/agentarea/storage/storagetest"
	"github.com/agentarea/agentarea/test/dbtest"
	"github.com/agentarea/agentarea/test/pgtest"
)

func TestRates(t *testing.T) {
	t.Parallel()
	storagetest.RunRates(t, openNamed(t, dbtest.Postgres(t)).Rates())
}

// Two servers' counts are one.
func TestRatesOfTwoServers(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t)
	l := core.RateLimit{PerMinute: 10}
	a, b := openNamed(t, url).Rates(), openNamed(t, url).Rates()
	for i := range 2 * l.PerMinute {
		r, err := []core.RateStore{a, b}[i%2].TakeRate(t.Context(), "ada", l)
		must(t, err)
		if r.Allowed != (i < l.PerMinute) {
			t.Errorf("%d: %+v", i, r)
		}
	}
}

// What is over goes, in batches, and what counts stays.
func TestRatesDrop(t *testing.T) {
	t.Parallel()
	db := openNamed(t, dbtest.Postgres(t))
	l := core.RateLimit{PerMinute: 1}
	for _, key := range []string{"a", "b", "c"} {
		_, err := db.Rates().TakeRate(t.Context(), key, l)
		must(t, err)
	}
	_, err := db.Reader().ExecContext(t.Context(), "UPDATE rate_counts SET minute_end = 0, second_end = 0")
	must(t, err)
	_, err = db.Rates().TakeRate(t.Context(), "d", l)
	must(t, err)
	for _, want := range []int{2, 1, 0} {
		n, err := db.Rates().DeleteRates(t.Context(), 2)
		must(t, err)
		if n != want {
			t.Errorf("%d were dropped, want %d", n, want)
		}
	}
	r, err := db.Rates().TakeRate(t.Context(), "d", l)
	must(t, err)
	if r.Allowed {
		t.Error("a count that was not over is gone")
	}
}

// A count of a clock that was set back since is none.
func TestRatesAfterTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	db := openNamed(t, dbtest.Postgres(t))
	l := core.RateLimit{PerMinute: 1, Burst: 1}
	for range 2 {
		r, err := db.Rates().TakeRate(t.Context(), "ada", l)
		must(t, err)
		if !r.Allowed {
			t.Fatalf("%+v", r)
		}
		_, err = db.Reader().ExecContext(t.Context(), "UPDATE rate_counts SET minute_end = minute_end + 3600000000, second_end = second_end + 3600000000")
		must(t, err)
	}
}

func TestSQLiteSharesNoRates(t *testing.T) {
	t.Parallel()
	db, _ := openNew(t, storage.Options{})
	if db.Rates() != nil {
		t.Error("SQLite has a shared counter, which would wait for commits")
	}
}

// BenchmarkRate is what a shared count costs a request, with 1 and 16 clients at once.
func BenchmarkRate(b *testing.B) {
	url := pgtest.Start(b)
	db, err := storage.Open(b.Context(), url, storage.Options{})
	must(b, err)
	defer func() { _ = db.Close() }()
	must(b, db.Migrate(b.Context()))
	l := core.RateLimit{PerMinute: 1 << 30, Burst: 1 << 30}
	keys := make([]string, 64)
	for i := range keys {
		keys[i] = core.NewID("user")
	}
	for name, n := range map[string]int{"1": 1, "16": 16} {
		b.Run(name, func(b *testing.B) {
			measure(b, n, func(i int) error {
				_, err := db.Rates().TakeRate(b.Context(), keys[i%len(keys)], l)
				return err
			})
		})
	}
}
