package gateway

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"
)

// stream is a run of messages to a client, which one HTTP response at a time
// reads. It outlives the response, so that the next can go on.
type stream struct {
	id string
	// keep is for streams that a client may come back to: what was read stays,
	// within the limit.
	keep  bool
	limit int

	mu sync.Mutex
	// events are those from number first on, and size their bytes.
	events [][]byte
	first  int
	size   int
	// read is the number after the last that was written to a response.
	read int
	// waiting counts the calls whose answers are to come.
	waiting int
	ended   bool
	// reader counts the responses so far: only the newest goes on.
	reader int
	open   bool
	wake   chan struct{}
}

func newStream(id string, keep bool, limit int) *stream {
	return &stream{id: id, keep: keep, limit: limit, wake: make(chan struct{})}
}

// put adds a message. A stream that nobody reads loses its oldest.
func (s *stream) put(message []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.events = append(s.events, message)
	s.size += len(message)
	for s.size > s.limit && len(s.events) > 1 {
		s.drop()
	}
	s.signal()
}

// answer adds the answer to a call, and ends the stream if it was the last.
func (s *stream) answer(message []byte) {
	s.put(message)
	s.settle()
}

// settle is answer without one.
func (s *stream) settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting--
	if s.waiting <= 0 {
		s.ended = true
		s.signal()
	}
}

// end lets readers go once they have read what is there.
func (s *stream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.signal()
}

func (s *stream) drop() {
	s.size -= len(s.events[0])
	s.events[0] = nil
	s.events = s.events[1:]
	s.first++
}

func (s *stream) signal() {
	close(s.wake)
	s.wake = make(chan struct{})
}

// attach makes the caller the one reader. from is the number of the event to go
// on with, or negative to go on where the last reader left off.
func (s *stream) attach(from int) (reader, next int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reader++
	s.open = true
	s.signal()
	if from < 0 {
		from = max(s.read, s.first)
	}
	return s.reader, from
}

func (s *stream) detach(reader int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reader == reader {
		s.open = false
	}
}

func (s *stream) isOpen() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

// batchOf is what a reader is to do next.
type batchOf struct {
	events [][]byte
	// next is the number after those events.
	next int
	// over is true when nothing comes after them.
	over bool
	// lost is true when events were dropped before this reader saw them, or
	// another reader has taken over.
	lost bool
	// wake is closed when there is more.
	wake <-chan struct{}
}

// take gives the events from a number on, those before which the reader has
// written.
func (s *stream) take(reader, next int) batchOf {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reader != reader || next < s.first || next > s.first+len(s.events) {
		return batchOf{lost: true}
	}
	s.read = max(s.read, next)
	for !s.keep && s.first < next {
		s.drop()
	}
	b := batchOf{next: s.first + len(s.events), over: s.ended, wake: s.wake}
	b.events = append(b.events, s.events[next-s.first:]...)
	return b
}

// peek waits for the first message, at most so long. over is true when there is
// nothing after it.
func (s *stream) peek(ctx context.Context, atMost time.Duration) (message []byte, over bool) {
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	for {
		s.mu.Lock()
		if len(s.events) > 0 {
			message, over = s.events[0], s.ended && len(s.events) == 1
		} else {
			over = s.ended
		}
		wake := s.wake
		s.mu.Unlock()
		if message != nil || over {
			return message, over
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return nil, false
		case <-timer.C:
			return nil, false
		}
	}
}

// all waits for the stream's end and gives what is in it.
func (s *stream) all(ctx context.Context) ([][]byte, error) {
	for {
		s.mu.Lock()
		events, ended, wake := s.events, s.ended, s.wake
		s.mu.Unlock()
		if ended {
			return events, nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// has says whether a client that has read up to a number can go on.
func (s *stream) has(next int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return next >= s.first && next <= s.first+len(s.events)
}

func (s *stream) bytes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size
}

// eventID names the place after which a client goes on: the events before the
// number are read.
func eventID(stream string, next int) string { return stream + "_" + strconv.Itoa(next) }

func parseEventID(id string) (stream string, next int, ok bool) {
	stream, number, found := strings.Cut(id, "_")
	next, err := strconv.Atoi(number)
	return stream, next, found && err == nil && next >= 0
}
