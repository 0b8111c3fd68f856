package core

// Topic is what a signal is about.
type Topic string

// The topics.
const (
	// TopicNotifications: there are new notifications.
	TopicNotifications Topic = "notifications"
	// TopicCancel: the run of that id was asked to end.
	TopicCancel Topic = "cancel"
)

// Signal tells that something was committed, by this server or another one on the
// same database. A signal may be lost, or come late: who depends on it looks for
// itself now and then.
type Signal struct {
	Topic Topic
	ID    string
}

// Signals has those who want to know called.
type Signals interface {
	// Subscribe has f called for each signal, until stop. f must not wait.
	Subscribe(f func(Signal)) (stop func())
}
