package mcp

import (
	"context"
	"sync"

	"github.com/agentarea/agentarea/sdk/mcptransport"
)

// inbox holds the messages of a child that nobody has read yet, so that its
// stderr goes on meanwhile. One goroutine reads.
type inbox struct {
	mu       sync.Mutex
	messages [][]byte
	bytes    int
	// ended says that no more will come, and shut that nobody will read.
	ended, shut bool
	// more and room wake the reader and the writer.
	more, room chan struct{}
}

// maxWaiting is how many bytes of messages may wait before the child does: one of
// any size, or a few.
const maxWaiting = mcptransport.MaxMessage

func newInbox() *inbox {
	return &inbox{more: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

// put waits for room; ctx ends that.
func (i *inbox) put(ctx context.Context, message []byte) {
	for !i.offer(message, false) {
		select {
		case <-i.room:
		case <-ctx.Done():
			return
		}
	}
}

// offer takes the message, unless there is no room for it and it does not insist.
func (i *inbox) offer(message []byte, insist bool) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.shut || i.ended {
		return true
	}
	if !insist && len(i.messages) > 0 && i.bytes+len(message) > maxWaiting {
		return false
	}
	i.messages = append(i.messages, message)
	i.bytes += len(message)
	wake(i.more)
	return true
}

// get waits for a message. It gives nil once there will be no more.
func (i *inbox) get(ctx context.Context) ([]byte, error) {
	for {
		message, over := i.take()
		if message != nil || over {
			return message, nil
		}
		select {
		case <-i.more:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (i *inbox) take() (message []byte, over bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.messages) == 0 || i.shut {
		return nil, i.ended || i.shut
	}
	message = i.messages[0]
	i.messages[0] = nil
	i.messages = i.messages[1:]
	i.bytes -= len(message)
	wake(i.room)
	return message, false
}

// end says that no more will come: what waits is still read.
func (i *inbox) end() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.ended = true
	wake(i.more)
}

// close drops what waits and what still comes.
func (i *inbox) close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.shut = true
	i.messages, i.bytes = nil, 0
	wake(i.more)
	wake(i.room)
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
