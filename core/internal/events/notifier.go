package events

import (
	"context"
	"log/slog"

	"github.com/agentarea/agentarea/core"
)

// maxPendingNotifications is the maximum number of system notifications that wait to be stored.
const maxPendingNotifications = 256

// Notifier stores system notifications in the background. It implements core.Notifier.
type Notifier struct {
	store  core.NotificationStore
	logger *slog.Logger
	queue  chan *core.Notification
	done   chan struct{}
}

// NewNotifier returns a Notifier that stores notifications in store. Close stops it.
func NewNotifier(store core.NotificationStore, logger *slog.Logger) *Notifier {
	n := &Notifier{
		store: store, logger: logger,
		queue: make(chan *core.Notification, maxPendingNotifications), done: make(chan struct{}),
	}
	go func() {
		defer close(n.done)
		for notification := range n.queue {
			if err := store.AddNotification(context.Background(), notification); err != nil {
				logger.Warn("cannot store system notification", "error", err)
			}
		}
	}()
	return n
}

// Notify implements core.Notifier. It does not wait: when too many notifications are
// pending, it logs and drops the new one.
func (n *Notifier) Notify(level core.Level, userID, message string) {
	notification, err := core.NewSystemNotification(level, message, userID)
	if err != nil {
		n.logger.Error("cannot create system notification", "error", err)
		return
	}
	select {
	case n.queue <- notification:
	default:
		n.logger.Warn("dropping system notification", "message", message)
	}
}

// Close stores the pending notifications and stops the notifier. Notify must not be called
// during or after Close.
func (n *Notifier) Close() {
	close(n.queue)
	<-n.done
}
