package gateway

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"
)

// stream is a buffer of messages to a client. One HTTP response at a time reads it. The stream
// outlives the response, so that the next response can continue. A stream is safe for
// concurrent use.
type stream struct {
	id string
	// resumable streams keep messages after they were read, up to limit bytes.
	resumable bool
	limit     int

	mu sync.Mutex
	// events contains the messages from number first on. size is their total size in bytes.
	events [][]byte
	first  int
	size   int
	// lastRead is the number after the last message that was written to a response.
	lastRead int
	// pending is the number of calls that have no response yet.
	pending int
	ended   bool
	// reader is the number of responses so far. Only the newest may read.
	reader int
	open   bool
	wake   chan struct{}
}

// newStream returns an empty stream that buffers up to limit bytes.
func newStream(id string, resumable bool, limit int) *stream {
	return &stream{id: id, resumable: resumable, limit: limit, wake: make(chan struct{})}
}

// add adds a message. If the buffer is full, it drops the oldest messages.
func (s *stream) add(message []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.events = append(s.events, message)
	s.size += len(message)
	for s.size > s.limit && len(s.events) > 1 {
		s.dropOldest()
	}
	s.wakeReaders()
}

// addResponse adds the response to a call. The stream ends with the response to the last call.
func (s *stream) addResponse(message []byte) {
	s.add(message)
	s.endCall()
}

// endCall marks one call as ended without a response.
func (s *stream) endCall() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending--
	if s.pending <= 0 {
		s.ended = true
		s.wakeReaders()
	}
}

// end marks the stream as complete. Readers stop after the last message.
func (s *stream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.wakeReaders()
}

// dropOldest drops the oldest message. The caller holds s.mu.
func (s *stream) dropOldest() {
	s.size -= len(s.events[0])
	s.events[0] = nil
	s.events = s.events[1:]
	s.first++
}

// wakeReaders wakes all waiting readers. The caller holds s.mu.
func (s *stream) wakeReaders() {
	close(s.wake)
	s.wake = make(chan struct{})
}

// attach starts a new reader and stops the previous one. Reading starts at event number from. A
// negative number continues where the last reader stopped.
func (s *stream) attach(from int) (reader, next int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reader++
	s.open = true
	s.wakeReaders()
	if from < 0 {
		from = max(s.lastRead, s.first)
	}
	return s.reader, from
}

// detach ends a reader. It does nothing if a newer reader has started.
func (s *stream) detach(reader int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reader == reader {
		s.open = false
	}
}

// isOpen reports whether a reader is attached.
func (s *stream) isOpen() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

// readResult is the result of one read.
type readResult struct {
	events [][]byte
	// next is the number after the last of events.
	next int
	// done is true if the stream has ended and events are the last ones.
	done bool
	// lost is true if events were dropped before this reader read them, or if another reader
	// has started.
	lost bool
	// wake is closed when the stream changes.
	wake <-chan struct{}
}

// readFrom returns the events from number next on. It marks the events before next as read.
func (s *stream) readFrom(reader, next int) readResult {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reader != reader || next < s.first || next > s.first+len(s.events) {
		return readResult{lost: true}
	}
	s.lastRead = max(s.lastRead, next)
	for !s.resumable && s.first < next {
		s.dropOldest()
	}
	b := readResult{next: s.first + len(s.events), done: s.ended, wake: s.wake}
	b.events = append(b.events, s.events[next-s.first:]...)
	return b
}

// peek waits up to atMost for the first message. It returns nil if none has arrived, or if the stream ends
// without one.
func (s *stream) peek(ctx context.Context, atMost time.Duration) []byte {
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	for {
		s.mu.Lock()
		if len(s.events) > 0 {
			defer s.mu.Unlock()
			return s.events[0]
		}
		ended, wake := s.ended, s.wake
		s.mu.Unlock()
		if ended {
			return nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return nil
		case <-timer.C:
			return nil
		}
	}
}

// waitAll waits until the stream ends and returns its messages. It returns the error of ctx if
// ctx ends first.
func (s *stream) waitAll(ctx context.Context) ([][]byte, error) {
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

// canResumeAt reports whether a client can continue at event number next.
func (s *stream) canResumeAt(next int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return next >= s.first && next <= s.first+len(s.events)
}

// byteCount returns the total size of the buffered messages.
func (s *stream) byteCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size
}

// eventID returns the ID of an event. next is the number of the event that follows it.
func eventID(stream string, next int) string { return stream + "_" + strconv.Itoa(next) }

// parseEventID is the inverse of eventID. ok is false if id is not an event ID.
func parseEventID(id string) (stream string, next int, ok bool) {
	stream, number, found := strings.Cut(id, "_")
	next, err := strconv.Atoi(number)
	return stream, next, found && err == nil && next >= 0
}
