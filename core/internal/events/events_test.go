package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
)

// memory is an EventStore that can be told to fail.
type memory struct {
	mu   sync.Mutex
	rows []core.EventRow
	fail bool
}

func (m *memory) AppendEvents(_ context.Context, rows []core.EventRow) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail {
		return errors.New("disk full")
	}
	m.rows = append(m.rows, rows...)
	slices.SortFunc(m.rows, func(a, b core.EventRow) int { return int(a.First - b.First) })
	return nil
}

func (m *memory) Events(_ context.Context, runID string, after int64, limit int) ([]core.EventRow, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []core.EventRow
	for _, row := range m.rows {
		if row.RunID == runID && row.Last > after && len(out) < limit {
			out = append(out, row)
		}
	}
	return out, nil
}

func (m *memory) setFail(fail bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = fail
}

func (m *memory) store(rows []core.EventRow) error { return m.AppendEvents(context.Background(), rows) }

func newLog(t *testing.T) (*Log, *memory) {
	t.Helper()
	m := &memory{}
	l := NewLog(m, slog.New(slog.DiscardHandler))
	t.Cleanup(l.Close)
	return l, m
}

func publish(t *testing.T, s *Stream, m *memory, typ string) {
	t.Helper()
	data := json.RawMessage(fmt.Sprintf(`{"type":%q}`, typ))
	if err := s.Publish(t.Context(), typ, data, m.store); err != nil {
		t.Fatal(err)
	}
}

func running(context.Context) (bool, error) { return false, nil }

// read gives a stream's events, as text, up to its end or until n are there.
func read(t *testing.T, w core.EventStream, n int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var out []string
	for len(out) < n {
		events, err := w.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("after %v: %v", out, err)
		}
		for _, e := range events {
			out = append(out, fmt.Sprintf("%d %s", e.Seq, e.Data))
		}
	}
	return out
}

func equal(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("got\n%q\nwant\n%q", got, want)
	}
}

var wholeRun = []string{
	`1 {"type":"start"}`,
	`2 {"type":"token","content":"Once"}`,
	`3 {"type":"token","content":" <upon>"}`,
	`4 {"type":"end"}`,
}

func speak(t *testing.T, l *Log, m *memory) {
	t.Helper()
	s := l.Open("run-1")
	publish(t, s, m, TypeStart)
	s.Tokens([]string{"Once"})
	s.Tokens([]string{" <upon>"})
	publish(t, s, m, TypeEnd)
}

func TestWatcherGetsEverythingOnceAndInOrder(t *testing.T) {
	t.Parallel()
	l, m := newLog(t)
	// Two watch from before the beginning, live; the log is read afterwards too.
	early := []core.EventStream{l.Watch("run-1", 0, running), l.Watch("run-1", 0, running)}
	results := make(chan []string, len(early))
	for _, w := range early {
		go func() { results <- read(t, w, 99) }()
	}
	speak(t, l, m)
	for range early {
		equal(t, <-results, wholeRun)
	}
	equal(t, read(t, l.Watch("run-1", 0, running), 99), wholeRun)
}

func TestWatcherContinuesExactly(t *testing.T) {
	t.Parallel()
	l, m := newLog(t)
	speak(t, l, m)
	over := func(context.Context) (bool, error) { return true, nil }
	for after := range int64(6) {
		want := wholeRun[min(after, 4):]
		equal(t, read(t, l.Watch("run-1", after, over), 99), want)
	}
}

func TestTokensAreShownWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	l, m := newLog(t)
	s := l.Open("run-1")
	publish(t, s, m, TypeStart)
	m.setFail(true)
	s.Tokens([]string{"Once"})
	w := l.Watch("run-1", 1, running)
	equal(t, read(t, w, 1), wholeRun[1:2])
	l.flush()
	s.Tokens([]string{" <upon>"})
	m.setFail(false)
	publish(t, s, m, TypeEnd)
	equal(t, read(t, w, 99), wholeRun[2:])
	equal(t, read(t, l.Watch("run-1", 0, running), 99), wholeRun)
}

func TestAnEventIsNotShownBeforeItIsStored(t *testing.T) {
	t.Parallel()
	l, m := newLog(t)
	s := l.Open("run-1")
	w := l.Watch("run-1", 0, running)
	err := s.Publish(t.Context(), TypeStart, json.RawMessage(`{"type":"start"}`), func(rows []core.EventRow) error {
		s.Tokens([]string{"Once"}) // comes later, and so must wait for it
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if events, err := w.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("shown too early: %v %v", events, err)
		}
		return m.store(rows)
	})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, read(t, w, 2), wholeRun[:2])
}

func TestAStreamWhoseStoreFailsIsDropped(t *testing.T) {
	t.Parallel()
	l, m := newLog(t)
	s := l.Open("run-1")
	publish(t, s, m, TypeStart)
	w := l.Watch("run-1", 0, func(context.Context) (bool, error) { return true, nil })
	lost := errors.New("not ours")
	if err := s.Publish(t.Context(), TypeEnd, nil, func([]core.EventRow) error { return lost }); !errors.Is(err, lost) {
		t.Fatal(err)
	}
	s.Tokens([]string{"nobody sees this"})
	equal(t, read(t, w, 99), wholeRun[:1])
}

func TestARunThatIsTakenUpGoesOnAboveWhatWasShown(t *testing.T) {
	t.Parallel()
	l, m := newLog(t)
	s := l.Open("run-1")
	publish(t, s, m, TypeStart)
	s.Tokens([]string{"Once", " upon"})
	l.flush()
	s.Tokens([]string{" a"}) // shown, and lost in the crash
	seen := read(t, l.Watch("run-1", 0, running), 4)
	if len(seen) != 4 {
		t.Fatal(seen)
	}

	next := NewLog(m, slog.New(slog.DiscardHandler))
	t.Cleanup(next.Close)
	again, err := next.Reopen(t.Context(), "run-1")
	if err != nil {
		t.Fatal(err)
	}
	if after, shown := again.Partial(); after != 1 || !shown {
		t.Fatalf("partial after %d, %v", after, shown)
	}
	publish(t, again, m, TypeRestart)
	publish(t, again, m, TypeEnd)
	first := 3 + leap + 1
	want := []string{fmt.Sprintf(`%d {"type":"restart"}`, first), fmt.Sprintf(`%d {"type":"end"}`, first+1)}
	equal(t, read(t, next.Watch("run-1", 4, running), 99), want)
	// One who had less gets what is stored in between.
	equal(t, read(t, next.Watch("run-1", 2, running), 99), append([]string{`3 {"type":"token","content":" upon"}`}, want...))
}

func TestASlowWatcherLosesNothing(t *testing.T) {
	t.Parallel()
	l, m := newLog(t)
	s := l.Open("run-1")
	publish(t, s, m, TypeStart)
	const n = 5 * keep
	for i := range n {
		s.Tokens([]string{fmt.Sprint(i)})
		if i%100 == 0 {
			l.flush()
		}
	}
	s.mu.Lock()
	held := len(s.events)
	s.mu.Unlock()
	if held > 3*keep {
		t.Errorf("%d events in memory", held)
	}
	publish(t, s, m, TypeEnd)
	got := read(t, l.Watch("run-1", 0, running), n+99)
	if len(got) != n+2 {
		t.Fatalf("%d events", len(got))
	}
	for i := range n {
		if want := fmt.Sprintf(`%d {"type":"token","content":"%d"}`, i+2, i); got[i+1] != want {
			t.Fatalf("got %s want %s", got[i+1], want)
		}
	}
}

func TestManyWatchersOfManyRuns(t *testing.T) {
	t.Parallel()
	l, m := newLog(t)
	var wg sync.WaitGroup
	for r := range 20 {
		id := fmt.Sprintf("run-%d", r)
		s := l.Open(id)
		for range 3 {
			wg.Go(func() {
				if got := read(t, l.Watch(id, 0, running), 999); len(got) != 102 {
					t.Errorf("%s: %d events", id, len(got))
				}
			})
		}
		wg.Go(func() {
			publish(t, s, m, TypeStart)
			for range 50 {
				s.Tokens([]string{"a", "b"})
			}
			publish(t, s, m, TypeEnd)
		})
	}
	wg.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.live)+len(l.dirty) > 0 {
		t.Errorf("left over: %d live, %d dirty", len(l.live), len(l.dirty))
	}
}

func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "plain", `"\`, "a\x00\x1f\x7f", "é \u2028 \u2029 😀", "\xff\xc3", "</script>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var back string
		if err := json.Unmarshal(appendString(nil, s), &back); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		want, _ := json.Marshal(s)
		var std string
		_ = json.Unmarshal(want, &std)
		if back != std {
			t.Fatalf("%q became %q, encoding/json makes %q", s, back, std)
		}
	})
}
