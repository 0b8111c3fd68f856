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

// TestRatesOfTwoServers checks that two servers share the counts.
func TestRatesOfTwoServers(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t)
	l := core.RateLimit{PerMinute: 10}
	a, b := openNamed(t, url).Rates(), openNamed(t, url).Rates()
	for i := range 2 * l.PerMinute {
		r, err := []core.RateStore{a, b}[i%2].TakeRate(t.Context(), "ada", l)
		must(t, err)
		if r.Allowed != (i < l.PerMinute) {
			t.Errorf("TakeRate %d = %+v, want Allowed %t", i, r, i < l.PerMinute)
		}
	}
}

// TestDeleteRates checks that ended windows are deleted in batches and active ones are kept.
func TestDeleteRates(t *testing.T) {
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
			t.Errorf("DeleteRates = %d, want %d", n, want)
		}
	}
	r, err := db.Rates().TakeRate(t.Context(), "d", l)
	must(t, err)
	if r.Allowed {
		t.Error("DeleteRates deleted an active window")
	}
}

// TestRatesAfterTheClockWasSetBack checks that windows far in the future count as ended.
func TestRatesAfterTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	db := openNamed(t, dbtest.Postgres(t))
	l := core.RateLimit{PerMinute: 1, Burst: 1}
	for range 2 {
		r, err := db.Rates().TakeRate(t.Context(), "ada", l)
		must(t, err)
		if !r.Allowed {
			t.Fatalf("TakeRate = %+v, want Allowed", r)
		}
		_, err = db.Reader().ExecContext(t.Context(),
			"UPDATE rate_counts SET minute_end = minute_end + 3600000000, second_end = second_end + 3600000000")
		must(t, err)
	}
}

func TestSQLiteSharesNoRates(t *testing.T) {
	t.Parallel()
	db, _ := openNew(t, storage.Options{})
	if db.Rates() != nil {
		t.Error("Rates of SQLite is not nil, but shared counts would wait for commits")
	}
}

// BenchmarkRate measures a shared count with 1 and 16 concurrent clients.
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
