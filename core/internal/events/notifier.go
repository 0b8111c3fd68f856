package events

import (
	"context"
	"log/slog"

	"github.com/agentarea/agentarea/core"
)

// maxWaiting is how many system notifications may wait to be stored.
const maxWaiting = 256

// Notifier stores system notifications in the background. It implements core.Notifier.
type Notifier struct {
	store  core.NotificationStore
	logger *slog.Logger
	queue  chan *core.Notification
	done   chan struct{}
}

// NewNotifier begins to store. Close ends it, after what waits.
func NewNotifier(store core.NotificationStore, logger *slog.Logger) *Notifier {
	n := &Notifier{store: store, logger: logger, queue: make(chan *core.Notification, maxWaiting), done: make(chan struct{})}
	go func() {
		defer close(n.done)
		for notification := range n.queue {
			if err := store.AddNotification(context.Background(), notification); err != nil {
				logger.Warn("system notification not stored", "error", err)
			}
		}
	}()
	return n
}

// Notify implements core.Notifier. While more wait than the database takes, it
// drops: the log has them.
func (n *Notifier) Notify(level core.Level, userID, message string) {
	notification, err := core.NewSystemNotification(level, message, userID)
	if err != nil {
		n.logger.Error("system notification", "error", err)
		return
	}
	select {
	case n.queue <- notification:
	default:
		n.logger.Warn("system notification dropped", "message", message)
	}
}

// Close stores what waits and ends the notifier. Nobody may notify any more.
func (n *Notifier) Close() {
	close(n.queue)
	<-n.done
}
