package events

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
)

const (
	// flushInterval is the longest time between showing a token and storing it.
	flushInterval = 250 * time.Millisecond
	// pageSize is the number of rows in one read.
	pageSize = 256
	// resumeGap is the distance between the last stored number of a resumed run and its
	// next one. It must be larger than the number of tokens that can be lost in a crash.
	resumeGap = 1 << 20
	// userReads is the number of watchers of a user that read and decode stored events at the same time, and
	// waitingReads the number of others that can wait for them. It is more than a user has event streams.
	userReads, waitingReads = 2, 200
)

// Log is the event log of all runs. Its methods may be called concurrently.
type Log struct {
	store  core.EventStore
	logger *slog.Logger
	// reads are the watchers that read stored events.
	reads *core.UserSlots

	mu   sync.Mutex
	live map[string]*Stream
	// dirty holds the streams with tokens to store.
	dirty map[*Stream]struct{}
	// opened is closed and replaced when a stream is opened.
	opened chan struct{}

	wakeups chan struct{}
	stop    chan struct{}
	done    chan struct{}
}

// NewLog returns a Log that stores events in store. Close stops it.
func NewLog(store core.EventStore, logger *slog.Logger) *Log {
	l := &Log{
		store: store, logger: logger, reads: core.NewUserSlots(userReads, waitingReads),
		live: map[string]*Stream{}, dirty: map[*Stream]struct{}{}, opened: make(chan struct{}),
		wakeups: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	go l.flushLoop()
	return l
}

// Close stores the waiting tokens and stops the group commits.
func (l *Log) Close() {
	close(l.stop)
	<-l.done
}

// Open opens the stream of a new run.
func (l *Log) Open(runID string) *Stream { return l.open(runID, 0, 0) }

// Reopen opens the stream of an interrupted run after its stored events.
func (l *Log) Reopen(ctx context.Context, runID string) (*Stream, error) {
	var stored, lastEvent int64
	for {
		rows, err := l.store.Events(ctx, runID, stored, pageSize)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			stored = row.Last
			if row.Type != TypeToken {
				lastEvent = row.Last
			}
		}
		if len(rows) == 0 {
			return l.open(runID, stored+resumeGap, lastEvent), nil
		}
	}
}

// open opens a stream whose first event follows the number seq.
func (l *Log) open(runID string, seq, lastEvent int64) *Stream {
	s := &Stream{log: l, runID: runID, first: seq + 1, next: seq + 1, lastEvent: lastEvent, appended: seq > 0}
	l.mu.Lock()
	l.live[runID] = s
	close(l.opened)
	l.opened = make(chan struct{})
	l.mu.Unlock()
	return s
}

// stream returns the live stream of a run, or nil, and a channel that is closed when the
// next stream is opened.
func (l *Log) stream(runID string) (*Stream, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.live[runID], l.opened
}

// markDirty includes the stream's tokens in the next group commit.
func (l *Log) markDirty(s *Stream) {
	l.mu.Lock()
	l.dirty[s] = struct{}{}
	l.mu.Unlock()
	select {
	case l.wakeups <- struct{}{}:
	default:
	}
}

// remove removes a stream that has ended.
func (l *Log) remove(s *Stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.live[s.runID] == s {
		delete(l.live, s.runID)
	}
	delete(l.dirty, s)
}

func (l *Log) flushLoop() {
	defer close(l.done)
	for {
		select {
		case <-l.wakeups:
		case <-l.stop:
			l.flush()
			return
		}
		select {
		case <-time.After(flushInterval):
		case <-l.stop:
		}
		l.flush()
	}
}

// flush stores the waiting tokens of all runs in one transaction. If that fails, the tokens
// wait for the next flush.
func (l *Log) flush() {
	l.mu.Lock()
	streams := make([]*Stream, 0, len(l.dirty))
	for s := range l.dirty {
		streams = append(streams, s)
	}
	clear(l.dirty)
	l.mu.Unlock()

	var rows []core.EventRow
	flushing := streams[:0]
	for _, s := range streams {
		if row, ok := s.beginFlush(); ok {
			rows = append(rows, row)
			flushing = append(flushing, s)
		}
	}
	if len(rows) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err := l.store.AppendEvents(ctx, rows)
	if err != nil {
		l.logger.Error("cannot store tokens, retrying", "runs", len(rows), "error", err)
	}
	for _, s := range flushing {
		if s.endFlush(err == nil) {
			l.markDirty(s)
		}
	}
}
