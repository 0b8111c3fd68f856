package events

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
)

// keep is how many events a stream holds in memory for its watchers; older
// ones that are stored are read from the database.
const keep = 4096

// Stream is the live log of one run that is executed here.
type Stream struct {
	log   *Log
	runID string

	// publishing is held from the reservation of a number until it is shown.
	publishing sync.Mutex

	mu sync.Mutex
	// events are those numbered first and above. Numbers may leap.
	events []core.Event
	// first is the lowest number that watchers get from memory.
	first int64
	// next is the number of the next event.
	next int64
	// held is the number of the event that is being stored: watchers see
	// nothing from it on. 0 for none.
	held int64
	// tokens are shown but not stored; the first has the number tokensAt.
	tokens   []string
	tokensAt int64
	// flushing are being stored, until flushed is closed.
	flushing []string
	flushAt  int64
	flushed  chan struct{}
	// mark is the number of the last event that was no token.
	mark int64
	// closed streams get no more events; dropped ones ended elsewhere.
	closed, dropped bool
	// wake is closed when there is something new; nil while nobody waits.
	wake chan struct{}
}

// Tokens shows pieces of the answer to the watchers.
func (s *Stream) Tokens(texts []string) {
	if len(texts) == 0 {
		return
	}
	s.mu.Lock()
	if len(s.tokens) == 0 {
		s.tokensAt = s.next
	}
	first := len(s.tokens) == 0
	for _, text := range texts {
		s.events = append(s.events, token(s.next, text))
		s.next++
	}
	s.tokens = append(s.tokens, texts...)
	s.trim()
	s.notify()
	s.mu.Unlock()
	if first {
		s.log.touch(s)
	}
}

// Partial is the number of the last event that was no token, and whether tokens
// have been shown since.
func (s *Stream) Partial() (after int64, shown bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mark, s.next-1 > s.mark
}

// Publish stores an event, whose data is a JSON object, by store, and shows it
// when that is through. store is given the event's row, and before it the
// tokens that were not stored yet; it is for the caller to store with them what
// belongs to the event, in one transaction. A run's events are published one
// after the other, so that the log is never stored out of order. When store
// fails the stream is dropped: watchers go on with what the database holds.
func (s *Stream) Publish(ctx context.Context, typ string, data json.RawMessage, store func([]core.EventRow) error) error {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	rows, err := s.reserve(ctx, typ, data)
	if err != nil {
		return err
	}
	if err := store(rows); err != nil {
		s.Drop()
		return err
	}
	s.show(last(typ))
	return nil
}

// reserve takes the next number for an event and gives the rows to store. It
// waits while tokens of this run are being stored.
func (s *Stream) reserve(ctx context.Context, typ string, data json.RawMessage) (rows []core.EventRow, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.flushed != nil {
		flushed := s.flushed
		s.mu.Unlock()
		select {
		case <-flushed:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		s.mu.Lock()
		if err != nil {
			return nil, err
		}
	}
	now := time.Now().UTC()
	if len(s.tokens) > 0 {
		row := tokenRow(s.runID, s.tokensAt, s.tokens)
		row.CreatedAt = now
		rows = append(rows, row)
		s.tokens = nil
	}
	s.events = append(s.events, core.Event{Seq: s.next, Data: data})
	s.held = s.next
	s.next++
	return append(rows, core.EventRow{
		RunID: s.runID, First: s.held, Last: s.held, Type: typ, Data: data, CreatedAt: now,
	}), nil
}

// show lets the watchers see the event that was reserved.
func (s *Stream) show(last bool) {
	s.mu.Lock()
	s.mark = s.held
	s.held = 0
	s.closed = s.closed || last
	waiting := len(s.tokens) > 0
	s.notify()
	s.mu.Unlock()
	if last {
		s.log.forget(s)
	} else if waiting {
		s.log.touch(s)
	}
}

// Drop ends the stream without a last event.
func (s *Stream) Drop() {
	s.log.forget(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events, s.held, s.tokens = nil, 0, nil
	s.first = s.next
	s.closed, s.dropped = true, true
	s.notify()
}

// view is what a watcher at some position finds in a stream.
type view struct {
	events []core.Event
	// behind says that the database is to be asked for what is below first.
	behind bool
	first  int64
	// ended says that nothing follows events; dropped that what follows is in
	// the database only.
	ended, dropped bool
	// wait is closed when there is more.
	wait <-chan struct{}
}

// view gives what may be shown above the number after.
func (s *Stream) view(after int64) view {
	s.mu.Lock()
	defer s.mu.Unlock()
	if after+1 < s.first {
		return view{behind: true, first: s.first}
	}
	visible := len(s.events)
	if s.held > 0 {
		visible = s.index(s.held)
	}
	v := view{
		ended:   s.closed && !s.dropped && visible == len(s.events),
		dropped: s.dropped,
	}
	if from := s.index(after + 1); from < visible {
		v.events = s.events[from:visible:visible]
	}
	if len(v.events) > 0 || s.closed {
		return v
	}
	if s.wake == nil {
		s.wake = make(chan struct{})
	}
	return view{wait: s.wake}
}

// index is the place in events of the first number from seq on.
func (s *Stream) index(seq int64) int {
	return int(min(max(seq-s.first, 0), int64(len(s.events))))
}

// trim lets go of old events that are stored, once there are twice as many as
// are kept.
func (s *Stream) trim() {
	if len(s.events) < 2*keep {
		return
	}
	stored := s.next
	if len(s.tokens) > 0 {
		stored = min(stored, s.tokensAt)
	}
	if len(s.flushing) > 0 {
		stored = min(stored, s.flushAt)
	}
	if s.held > 0 {
		stored = min(stored, s.held)
	}
	n := min(s.index(stored), len(s.events)-keep)
	s.events = append(make([]core.Event, 0, 3*keep), s.events[n:]...)
	s.first += int64(n)
}

// beginFlush gives the tokens that wait as a row to store.
func (s *Stream) beginFlush() (core.EventRow, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.tokens) == 0 || s.flushed != nil || s.held > 0 {
		return core.EventRow{}, false
	}
	s.flushing, s.flushAt, s.tokens = s.tokens, s.tokensAt, nil
	s.flushed = make(chan struct{})
	row := tokenRow(s.runID, s.flushAt, s.flushing)
	row.CreatedAt = time.Now().UTC()
	return row, true
}

// endFlush says how it went, and whether tokens wait for the next time.
func (s *Stream) endFlush(stored bool) (more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !stored && !s.closed {
		s.tokens = append(s.flushing, s.tokens...)
		s.tokensAt = s.flushAt
	}
	s.flushing = nil
	close(s.flushed)
	s.flushed = nil
	return len(s.tokens) > 0
}

// notify wakes the watchers that wait.
func (s *Stream) notify() {
	if s.wake != nil {
		close(s.wake)
		s.wake = nil
	}
}
