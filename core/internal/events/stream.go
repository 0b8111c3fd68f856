package events

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
)

// minEvents is the number of events that a stream keeps in memory for its watchers. Older events that
// are stored are read from the database.
const minEvents = 4096

// Stream is the live event log of one run that this server executes. Its methods may be
// called concurrently.
type Stream struct {
	log   *Log
	runID string

	// publishing is held from the reservation of an event's number until the event is shown.
	publishing sync.Mutex

	mu sync.Mutex
	// events holds the events from the number first.
	events []core.Event
	// first is the lowest number in memory.
	first int64
	// next is the number of the next event.
	next int64
	// reserved is the number of the event that is being stored, or 0. Watchers do not see
	// this event and later ones.
	reserved int64
	// tokens are shown but not stored. The first has the number tokensAt.
	tokens   []string
	tokensAt int64
	// flushing holds the tokens of the group commit in progress. flushed is closed when it
	// ends, and nil outside of one.
	flushing []string
	flushAt  int64
	flushed  chan struct{}
	// appended reports whether a group commit, or another stream of the run, has stored events.
	appended bool
	// lastEvent is the number of the last event that is not a token.
	lastEvent int64
	// closed reports whether the stream has ended, and dropped whether it ended without a
	// last event.
	closed, dropped bool
	// changed is closed when watchers can see a change. It is nil while no watcher waits.
	changed chan struct{}
}

// Tokens shows parts of the answer to the watchers immediately. It does not retain texts.
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
		s.events = append(s.events, tokenEvent(s.next, text))
		s.next++
	}
	s.tokens = append(s.tokens, texts...)
	s.trim()
	s.notify()
	s.mu.Unlock()
	if first {
		s.log.markDirty(s)
	}
}

// Partial returns the number of the last event that is not a token, and reports whether
// tokens were shown after it.
func (s *Stream) Partial() (after int64, partial bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastEvent, s.next-1 > s.lastEvent
}

// Appended reports whether events of the run may be stored that were not passed to the store of a Publish.
func (s *Stream) Appended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.appended
}

// Publish stores an event with store and then shows it. data is a JSON object. store
// receives the rows of the tokens that are not stored yet and of the event. It must store
// them, and the other changes of the event, in one transaction.
//
// The events of a run are published one after the other, so the log is stored in order. If
// store fails, the stream is dropped: watchers continue with the events in the database.
func (s *Stream) Publish(
	ctx context.Context, typ string, data json.RawMessage, store func([]core.EventRow) error,
) error {
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
	s.show(isLast(typ))
	return nil
}

// reserve reserves the next number for an event and returns the rows to store. It waits for
// a group commit in progress.
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
	s.reserved = s.next
	s.next++
	return append(rows, core.EventRow{
		RunID: s.runID, First: s.reserved, Last: s.reserved, Type: typ, Data: data, CreatedAt: now,
	}), nil
}

// show shows the reserved event to the watchers.
func (s *Stream) show(last bool) {
	s.mu.Lock()
	s.lastEvent = s.reserved
	s.reserved = 0
	s.closed = s.closed || last
	waiting := len(s.tokens) > 0
	s.notify()
	s.mu.Unlock()
	if last {
		s.log.remove(s)
	} else if waiting {
		s.log.markDirty(s)
	}
}

// Drop ends the stream without a last event. Watchers continue with the events in the
// database.
func (s *Stream) Drop() {
	s.log.remove(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events, s.reserved, s.tokens = nil, 0, nil
	s.first = s.next
	s.closed, s.dropped = true, true
	s.notify()
}

// view contains the events of a stream after the position of a watcher.
type view struct {
	events []core.Event
	// behind reports whether the events below first must be read from the database.
	behind bool
	first  int64
	// ended reports whether the run has no events after these. dropped reports whether the
	// following events are in the database only.
	ended, dropped bool
	// changed is nil, or closed when there are more events.
	changed <-chan struct{}
}

// view returns the visible events above the number after.
func (s *Stream) view(after int64) view {
	s.mu.Lock()
	defer s.mu.Unlock()
	if after+1 < s.first {
		return view{behind: true, first: s.first}
	}
	visible := len(s.events)
	if s.reserved > 0 {
		visible = s.index(s.reserved)
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
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return view{changed: s.changed}
}

// index returns the index in events of the first number that is at least seq.
func (s *Stream) index(seq int64) int {
	return int(min(max(seq-s.first, 0), int64(len(s.events))))
}

// trim removes old events that are stored, once there are twice as many as minEvents.
func (s *Stream) trim() {
	if len(s.events) < 2*minEvents {
		return
	}
	stored := s.next
	if len(s.tokens) > 0 {
		stored = min(stored, s.tokensAt)
	}
	if len(s.flushing) > 0 {
		stored = min(stored, s.flushAt)
	}
	if s.reserved > 0 {
		stored = min(stored, s.reserved)
	}
	n := min(s.index(stored), len(s.events)-minEvents)
	s.events = append(make([]core.Event, 0, 3*minEvents), s.events[n:]...)
	s.first += int64(n)
}

// beginFlush returns the waiting tokens as a row to store, if there are any and no event is
// being stored.
func (s *Stream) beginFlush() (core.EventRow, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.tokens) == 0 || s.flushed != nil || s.reserved > 0 {
		return core.EventRow{}, false
	}
	s.flushing, s.flushAt, s.tokens = s.tokens, s.tokensAt, nil
	s.flushed, s.appended = make(chan struct{}), true
	row := tokenRow(s.runID, s.flushAt, s.flushing)
	row.CreatedAt = time.Now().UTC()
	return row, true
}

// endFlush ends the flush that beginFlush began. Tokens that were not stored wait again. It
// reports whether tokens wait.
func (s *Stream) endFlush(stored bool) (waiting bool) {
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

// notify wakes the waiting watchers.
func (s *Stream) notify() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}
