package api

import "sync"

// maxQueued is how many messages may wait for a client.
const maxQueued = 256

// socketQueue holds what waits for one client, of all its channels.
type socketQueue struct {
	// ready is called when something comes into the empty queue, and when it is
	// full. It must not wait.
	ready func()

	mu       sync.Mutex
	messages [][]byte
	full     bool
}

// Put implements core.NotificationQueue. A message that finds the queue full is dropped,
// and the queue takes no more: the client has to come back.
func (q *socketQueue) Put(message []byte) {
	q.mu.Lock()
	call := false
	switch {
	case q.full:
	case len(q.messages) == maxQueued:
		q.full, call = true, true
	default:
		call = len(q.messages) == 0
		q.messages = append(q.messages, message)
	}
	q.mu.Unlock()
	if call {
		q.ready()
	}
}

// take empties the queue. full says that there was more after these messages.
func (q *socketQueue) take() (messages [][]byte, full bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	messages, q.messages = q.messages, nil
	return messages, q.full
}

// empty says that take would give nothing.
func (q *socketQueue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.messages) == 0 && !q.full
}
