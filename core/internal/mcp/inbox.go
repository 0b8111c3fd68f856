package mcp

import (
	"context"
	"sync"

	"github.com/agentarea/agentarea/sdk/mcptransport"
)

// inbox holds the unread messages of a connection, so that its stderr can be read
// meanwhile. Only one goroutine may read.
type inbox struct {
	mu       sync.Mutex
	messages [][]byte
	bytes    int
	// ended reports that no more messages will arrive, closed that no one will read.
	ended, closed bool
	// readable and writable wake the reader and the writer.
	readable, writable chan struct{}
}

// maxWaiting is the maximum size in bytes of the unread messages; the writer blocks above it. It
// allows one message of any size.
const maxWaiting = mcptransport.MaxMessage

func newInbox() *inbox {
	return &inbox{readable: make(chan struct{}, 1), writable: make(chan struct{}, 1)}
}

// put adds a message. It blocks while the inbox is full, until ctx ends.
func (i *inbox) put(ctx context.Context, message []byte) {
	for !i.offer(message, false) {
		select {
		case <-i.writable:
		case <-ctx.Done():
			return
		}
	}
}

// offer adds the message. It returns false if the inbox is full and force is false.
func (i *inbox) offer(message []byte, force bool) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed || i.ended {
		return true
	}
	if !force && len(i.messages) > 0 && i.bytes+len(message) > maxWaiting {
		return false
	}
	i.messages = append(i.messages, message)
	i.bytes += len(message)
	wake(i.readable)
	return true
}

// get waits for a message. It returns nil if there will be no more.
func (i *inbox) get(ctx context.Context) ([]byte, error) {
	for {
		message, closed := i.take()
		if message != nil || closed {
			return message, nil
		}
		select {
		case <-i.readable:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (i *inbox) take() (message []byte, closed bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.messages) == 0 || i.closed {
		return nil, i.ended || i.closed
	}
	message = i.messages[0]
	i.messages[0] = nil
	i.messages = i.messages[1:]
	i.bytes -= len(message)
	wake(i.writable)
	return message, false
}

// end marks the end of the messages. The unread ones can still be read.
func (i *inbox) end() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.ended = true
	wake(i.readable)
}

// close drops unread and later messages.
func (i *inbox) close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.closed = true
	i.messages, i.bytes = nil, 0
	wake(i.readable)
	wake(i.writable)
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
