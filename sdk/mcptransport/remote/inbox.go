package remote

import (
	"context"
	"sync"

	"github.com/agentarea/agentarea/sdk/mcptransport"
)

// Inbox brings frames from many streams to the one that receives. It holds none
// itself: a stream waits until its frame is taken.
type Inbox struct {
	frames chan mcptransport.Frame
	ended  chan struct{}
	once   sync.Once
	exit   *mcptransport.Exit
}

// NewInbox makes one that is open.
func NewInbox() *Inbox {
	return &Inbox{frames: make(chan mcptransport.Frame), ended: make(chan struct{})}
}

// Put waits until the message is received. It is false when nobody will.
func (i *Inbox) Put(message []byte) bool { return i.put(mcptransport.Frame{Message: message}) }

// Log is Put for a line of the server's log.
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

// End says how the connection has ended. The first word counts.
func (i *Inbox) End(message string) {
	i.once.Do(func() {
		i.exit = &mcptransport.Exit{Code: -1, Message: message}
		close(i.ended)
	})
}

// Exit is how the connection has ended; nil while it has not.
func (i *Inbox) Exit() *mcptransport.Exit {
	select {
	case <-i.ended:
		return i.exit
	default:
		return nil
	}
}

// Receive implements mcptransport.Conn's.
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
