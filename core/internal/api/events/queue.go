package events

import "sync"

// maxQueued is the maximum number of queued notifications of a connection.
const maxQueued = 256

// queue holds the notifications of all channels of a connection until they are written.
type queue struct {
	// onReady is called when the empty queue receives a notification, and when the queue is full. It
	// must not block.
	onReady func()

	mu       sync.Mutex
	messages [][]byte
	full     bool
}

// Put implements core.NotificationQueue. It drops a message for which there is no room, and all later
// ones: the client must connect again.
func (q *queue) Put(message []byte) {
	q.mu.Lock()
	ready := false
	switch {
	case q.full:
	case len(q.messages) == maxQueued:
		q.full, ready = true, true
	default:
		ready = len(q.messages) == 0
		q.messages = append(q.messages, message)
	}
	q.mu.Unlock()
	if ready {
		q.onReady()
	}
}

// take removes and returns all messages. full reports whether messages were dropped after them.
func (q *queue) take() (messages [][]byte, full bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	messages, q.messages = q.messages, nil
	return messages, q.full
}

// empty reports whether take would return nothing.
func (q *queue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.messages) == 0 && !q.full
}
