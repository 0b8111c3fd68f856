package events

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
)

const (
	// flushEvery is the most that a token is shown before it is stored.
	flushEvery = 250 * time.Millisecond
	// pageSize is how many rows are read at once.
	pageSize = 256
	// leap is how far a run that is taken up goes on above its last stored number.
	leap = 1 << 20
)

// Log is the event log of all runs.
type Log struct {
	store  core.EventStore
	logger *slog.Logger

	mu    sync.Mutex
	live  map[string]*Stream
	dirty map[*Stream]struct{}
	// opened is closed, and made anew, when a stream is opened.
	opened chan struct{}

	kick chan struct{}
	stop chan struct{}
	done chan struct{}
}

// NewLog makes a log on store and starts its group commits. Close ends them.
func NewLog(store core.EventStore, logger *slog.Logger) *Log {
	l := &Log{
		store: store, logger: logger,
		live: map[string]*Stream{}, dirty: map[*Stream]struct{}{}, opened: make(chan struct{}),
		kick: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	go l.flushLoop()
	return l
}

// Close stores the tokens that wait and ends the group commits.
func (l *Log) Close() {
	close(l.stop)
	<-l.done
}

// Open begins the stream of a new run.
func (l *Log) Open(runID string) *Stream { return l.open(runID, 0, 0) }

// Reopen begins the stream of a run that was cut, from what is stored of it.
func (l *Log) Reopen(ctx context.Context, runID string) (*Stream, error) {
	var stored, mark int64
	for {
		rows, err := l.store.Events(ctx, runID, stored, pageSize)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			stored = row.Last
			if row.Type != TypeToken {
				mark = row.Last
			}
		}
		if len(rows) < pageSize {
			return l.open(runID, stored+leap, mark), nil
		}
	}
}

func (l *Log) open(runID string, seq, mark int64) *Stream {
	s := &Stream{log: l, runID: runID, first: seq + 1, next: seq + 1, mark: mark}
	l.mu.Lock()
	l.live[runID] = s
	close(l.opened)
	l.opened = make(chan struct{})
	l.mu.Unlock()
	return s
}

// stream gives the live stream of a run, or else a channel that is closed when
// some stream is opened.
func (l *Log) stream(runID string) (*Stream, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.live[runID], l.opened
}

// touch has the stream's tokens stored with the next group commit.
func (l *Log) touch(s *Stream) {
	l.mu.Lock()
	l.dirty[s] = struct{}{}
	l.mu.Unlock()
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

func (l *Log) forget(s *Stream) {
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
		case <-l.kick:
		case <-l.stop:
			l.flush()
			return
		}
		select {
		case <-time.After(flushEvery):
		case <-l.stop:
		}
		l.flush()
	}
}

// flush stores the waiting tokens of all runs in one transaction. What can't be
// stored now waits for the next time.
func (l *Log) flush() {
	l.mu.Lock()
	streams := make([]*Stream, 0, len(l.dirty))
	for s := range l.dirty {
		streams = append(streams, s)
	}
	clear(l.dirty)
	l.mu.Unlock()

	var rows []core.EventRow
	taken := streams[:0]
	for _, s := range streams {
		if row, ok := s.beginFlush(); ok {
			rows = append(rows, row)
			taken = append(taken, s)
		}
	}
	if len(rows) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err := l.store.AppendEvents(ctx, rows)
	if err != nil {
		l.logger.Error("tokens not stored yet", "runs", len(rows), "error", err)
	}
	for _, s := range taken {
		if s.endFlush(err == nil) {
			l.touch(s)
		}
	}
}
