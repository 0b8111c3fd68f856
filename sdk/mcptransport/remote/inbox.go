package remote

import (
	"context"
	"sync"

	"github.com/agentarea/agentarea/sdk/mcptransport"
)

// Inbox passes frames from several streams to one receiver. It does not buffer: Put waits until the frame
// is received.
type Inbox struct {
	frames chan mcptransport.Frame
	ended  chan struct{}
	once   sync.Once
	exit   *mcptransport.Exit
}

// NewInbox returns an open Inbox.
func NewInbox() *Inbox {
	return &Inbox{frames: make(chan mcptransport.Frame), ended: make(chan struct{})}
}

// Put passes a message and waits until it is received. It returns false if the inbox has ended.
func (i *Inbox) Put(message []byte) bool { return i.put(mcptransport.Frame{Message: message}) }

// Log is like Put for a line of the server's log.
func (i *Inbox) Log(line string) bool { return i.put(mcptransport.Frame{Stderr: line}) }

func (i *Inbox) put(f mcptransport.Frame) bool {
	select {
	case <-i.ended:
		return false
	default:
	}
	select {
	case i.frames <- f:
		return true
	case <-i.ended:
		return false
	}
}

// End ends the connection with a message. Only the first call has an effect.
func (i *Inbox) End(message string) {
	i.once.Do(func() {
		i.exit = &mcptransport.Exit{Code: -1, Message: message}
		close(i.ended)
	})
}

// Exit returns how the connection ended, or nil if it has not ended.
func (i *Inbox) Exit() *mcptransport.Exit {
	select {
	case <-i.ended:
		return i.exit
	default:
		return nil
	}
}

// Receive implements the method of mcptransport.Conn.
func (i *Inbox) Receive(ctx context.Context) (mcptransport.Frame, error) {
	select {
	case f := <-i.frames:
		return f, nil
	case <-i.ended:
		return mcptransport.Frame{}, i.exit
	case <-ctx.Done():
		return mcptransport.Frame{}, ctx.Err()
	}
}
