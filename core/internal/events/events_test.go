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

// memory is an EventStore in memory. Its writes can be made to fail.
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

// publish publishes an event without further data.
func publish(t *testing.T, s *Stream, m *memory, typ string) {
	t.Helper()
	data := json.RawMessage(fmt.Sprintf(`{"type":%q}`, typ))
	if err := s.Publish(t.Context(), typ, data, m.store); err != nil {
		t.Fatal(err)
	}
}

// running reports that a run has not ended.
func running(context.Context) (bool, error) { return false, nil }

// read returns the events of a stream as text: all until its end, or at least n.
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
			t.Fatalf("Next after %v: %v", out, err)
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
		t.Fatalf("got %q, want %q", got, want)
	}
}

// completeRun contains the events that a watcher of publishRun's run receives.
var completeRun = []string{
	`1 {"type":"start"}`,
	`2 {"type":"token","content":"Once"}`,
	`3 {"type":"token","content":" <upon>"}`,
	`4 {"type":"end"}`,
}

// publishRun publishes all events of run-1.
func publishRun(t *testing.T, l *Log, m *memory) {
	t.Helper()
	s := l.Open("run-1")
	publish(t, s, m, TypeStart)
	s.Tokens([]string{"Once"})
	s.Tokens([]string{" <upon>"})
	publish(t, s, m, TypeEnd)
}

func TestWatch_returnsEachEventOnceInOrder(t *testing.T) {
	t.Parallel()
	l, m := newLog(t)
	// Two watchers start before the first event, and one after the last.
	early := []core.EventStream{l.Watch("run-1", "user-1", 0, running), l.Watch("run-1", "user-1", 0, running)}
	results := make(chan []string, len(early))
	for _, w := range early {
		go func() { results <- read(t, w, 99) }()
	}
	publishRun(t, l, m)
	for range early {
		equal(t, <-results, completeRun)
	}
	equal(t, read(t, l.Watch("run-1", "user-1", 0, running), 99), completeRun)
}

func TestWatch_continuesAfterAnyEvent(t *testing.T) {
	t.Parallel()
	l, m := newLog(t)
	publishRun(t, l, m)
	ended := func(context.Context) (bool, error) { return true, nil }
	for after := range int64(6) {
		want := completeRun[min(after, 4):]
		equal(t, read(t, l.Watch("run-1", "user-1", after, ended), 99), want)
	}
}

func TestTokens_areShownWhileTheDatabaseFails(t *testing.T) {
	t.Parallel()
	l, m := newLog(t)
	s := l.Open("run-1")
	publish(t, s, m, TypeStart)
	m.setFail(true)
	s.Tokens([]string{"Once"})
	w := l.Watch("run-1", "user-1", 1, running)
	equal(t, read(t, w, 1), completeRun[1:2])
	l.flush()
	s.Tokens([]string{" <upon>"})
	m.setFail(false)
	publish(t, s, m, TypeEnd)
	equal(t, read(t, w, 99), completeRun[2:])
	equal(t, read(t, l.Watch("run-1", "user-1", 0, running), 99), completeRun)
}

func TestPublish_showsTheEventAfterItIsStored(t *testing.T) {
	t.Parallel()
	l, m := newLog(t)
	s := l.Open("run-1")
	w := l.Watch("run-1", "user-1", 0, running)
	err := s.Publish(t.Context(), TypeStart, json.RawMessage(`{"type":"start"}`), func(rows []core.EventRow) error {
		s.Tokens([]string{"Once"}) // follows the event, so it must wait too
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if events, err := w.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Next before the event is stored = %v, %v; want %v", events, err, context.DeadlineExceeded)
		}
		return m.store(rows)
	})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, read(t, w, 2), completeRun[:2])
}

func TestPublish_dropsTheStreamWhenTheStoreFails(t *testing.T) {
	t.Parallel()
	l, m := newLog(t)
	s := l.Open("run-1")
	publish(t, s, m, TypeStart)
	w := l.Watch("run-1", "user-1", 0, func(context.Context) (bool, error) { return true, nil })
	conflict := errors.New("conflict")
	if err := s.Publish(t.Context(), TypeEnd, nil, func([]core.EventRow) error { return conflict }); !errors.Is(err,
		conflict) {
		t.Fatalf("Publish = %v, want %v", err, conflict)
	}
	s.Tokens([]string{"dropped"})
	equal(t, read(t, w, 99), completeRun[:1])
}

func TestReopen_continuesAboveTheShownNumbers(t *testing.T) {
	t.Parallel()
	l, m := newLog(t)
	s := l.Open("run-1")
	publish(t, s, m, TypeStart)
	s.Tokens([]string{"Once", " upon"})
	l.flush()
	s.Tokens([]string{" a"}) // shown, but not stored before the crash
	seen := read(t, l.Watch("run-1", "user-1", 0, running), 4)
	if len(seen) != 4 {
		t.Fatalf("got %d events %v, want 4", len(seen), seen)
	}

	next := NewLog(m, slog.New(slog.DiscardHandler))
	t.Cleanup(next.Close)
	again, err := next.Reopen(t.Context(), "run-1")
	if err != nil {
		t.Fatal(err)
	}
	if after, partial := again.Partial(); after != 1 || !partial {
		t.Fatalf("Partial() = %d, %v, want 1, true", after, partial)
	}
	publish(t, again, m, TypeRestart)
	publish(t, again, m, TypeEnd)
	first := 3 + resumeGap + 1
	want := []string{fmt.Sprintf(`%d {"type":"restart"}`, first), fmt.Sprintf(`%d {"type":"end"}`, first+1)}
	equal(t, read(t, next.Watch("run-1", "user-1", 4, running), 99), want)
	// A watcher at an earlier position receives the stored events in between too.
	want = append([]string{`3 {"type":"token","content":" upon"}`}, want...)
	equal(t, read(t, next.Watch("run-1", "user-1", 2, running), 99), want)
}

func TestWatch_slowWatcherMissesNothing(t *testing.T) {
	t.Parallel()
	l, m := newLog(t)
	s := l.Open("run-1")
	publish(t, s, m, TypeStart)
	const n = 5 * minEvents
	for i := range n {
		s.Tokens([]string{fmt.Sprint(i)})
		if i%100 == 0 {
			l.flush()
		}
	}
	s.mu.Lock()
	held := len(s.events)
	s.mu.Unlock()
	if held > 3*minEvents {
		t.Errorf("got %d events in memory, want at most %d", held, 3*minEvents)
	}
	publish(t, s, m, TypeEnd)
	got := read(t, l.Watch("run-1", "user-1", 0, running), n+99)
	if len(got) != n+2 {
		t.Fatalf("got %d events, want %d", len(got), n+2)
	}
	for i := range n {
		if want := fmt.Sprintf(`%d {"type":"token","content":"%d"}`, i+2, i); got[i+1] != want {
			t.Fatalf("event %d = %s, want %s", i+1, got[i+1], want)
		}
	}
}

func TestWatch_manyWatchersOfManyRuns(t *testing.T) {
	t.Parallel()
	l, m := newLog(t)
	var wg sync.WaitGroup
	for r := range 20 {
		id := fmt.Sprintf("run-%d", r)
		s := l.Open(id)
		for range 3 {
			wg.Go(func() {
				if got := read(t, l.Watch(id, "user-1", 0, running), 999); len(got) != 102 {
					t.Errorf("%s: got %d events, want 102", id, len(got))
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
		t.Errorf("got %d live and %d dirty streams after all runs ended, want none", len(l.live), len(l.dirty))
	}
}

func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "plain", `"\`, "a\x00\x1f\x7f", "é \u2028 \u2029 😀", "\xff\xc3", "</script>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var back string
		if err := json.Unmarshal(appendString(nil, s), &back); err != nil {
			t.Fatalf("appendString(%q) is not valid JSON: %v", s, err)
		}
		want, _ := json.Marshal(s)
		var std string
		_ = json.Unmarshal(want, &std)
		if back != std {
			t.Fatalf("appendString(%q) decodes to %q, want %q as with encoding/json", s, back, std)
		}
	})
}
