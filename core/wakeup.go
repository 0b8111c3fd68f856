package core

// Topic is what a wakeup is about.
type Topic string

// The topics.
const (
	// TopicNotifications: there are new notifications.
	TopicNotifications Topic = "notifications"
	// TopicCancel: the run of that id was asked to end.
	TopicCancel Topic = "cancel"
)

// Wakeup tells that something was committed, by this server or another one on the
// same database. A wakeup may be lost, or come late: who depends on it looks for
// itself now and then.
type Wakeup struct {
	Topic Topic
	ID    string
}

// Wakeups has those who want to know called.
type Wakeups interface {
	// Subscribe has f called for each wakeup, until stop. f must not wait.
	Subscribe(f func(Wakeup)) (stop func())
}
