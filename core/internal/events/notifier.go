package events

import (
	"context"
	"log/slog"

	"github.com/agentarea/agentarea/core"
)

// maxWaiting is how many system notices may wait to be stored.
const maxWaiting = 256

// Notifier stores system notices in the background. It implements core.Notifier.
type Notifier struct {
	store  core.NoticeStore
	logger *slog.Logger
	queue  chan *core.Notice
	done   chan struct{}
}

// NewNotifier begins to store. Close ends it, after what waits.
func NewNotifier(store core.NoticeStore, logger *slog.Logger) *Notifier {
	n := &Notifier{store: store, logger: logger, queue: make(chan *core.Notice, maxWaiting), done: make(chan struct{})}
	go func() {
		defer close(n.done)
		for notice := range n.queue {
			if err := store.AddNotice(context.Background(), notice); err != nil {
				logger.Warn("system notice not stored", "error", err)
			}
		}
	}()
	return n
}

// Notify implements core.Notifier. While more wait than the database takes, it
// drops: the log has them.
func (n *Notifier) Notify(level core.Level, userID, message string) {
	notice, err := core.NewSystemNotice(level, message, userID)
	if err != nil {
		n.logger.Error("system notice", "error", err)
		return
	}
	select {
	case n.queue <- notice:
	default:
		n.logger.Warn("system notice dropped", "message", message)
	}
}

// Close stores what waits and ends the notifier. Nobody may notify any more.
func (n *Notifier) Close() {
	close(n.queue)
	<-n.done
}
