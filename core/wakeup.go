package core

// Topic is the subject of a wakeup.
type Topic string

// The topics.
const (
	// TopicNotifications means that there are new notifications.
	TopicNotifications Topic = "notifications"
	// TopicCancel means that the cancellation of the run with the wakeup's ID was requested.
	TopicCancel Topic = "cancel"
)

// Wakeup announces that a change was committed, by this server or by another one that uses the
// same database. Wakeups can be late or lost, so a subscriber must also poll from time to time.
type Wakeup struct {
	Topic Topic
	ID    string
}

// Wakeups delivers wakeups to subscribers.
type Wakeups interface {
	// Subscribe calls f for each wakeup until stop is called. f must not block.
	Subscribe(f func(Wakeup)) (stop func())
}
