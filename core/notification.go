package core

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/agentarea/agentarea/sdk"
)

// NotificationType is what a notification tells of.
type NotificationType string

// The types.
const (
	NotificationAgentMessage NotificationType = "agent.message"
	NotificationTaskStatus   NotificationType = "task.status"
	NotificationSystem       NotificationType = "system.notification"
)

// Notification tells those who watch a channel that something has happened. Notifications are
// stored with what they tell of, in one transaction.
type Notification struct {
	// Seq numbers all notifications in the order in which they can be read.
	Seq  int64
	Type NotificationType
	// UserID is whose it is; empty for everybody's.
	UserID string
	// AgentID and TaskID are empty where there is none.
	AgentID string
	TaskID  string
	// Data is a JSON object with a type.
	Data      json.RawMessage
	CreatedAt time.Time
}

// NotificationFilter picks the notifications of a channel. Empty fields pick all.
type NotificationFilter struct {
	// UserID picks a user's own and everybody's.
	UserID  string
	AgentID string
	TaskID  string
	// Types are those that are wanted.
	Types []NotificationType
}

// Matches says whether the filter picks the notification.
func (f *NotificationFilter) Matches(n *Notification) bool {
	if f.UserID != "" && n.UserID != "" && n.UserID != f.UserID ||
		f.AgentID != "" && n.AgentID != f.AgentID || f.TaskID != "" && n.TaskID != f.TaskID {
		return false
	}
	for _, t := range f.Types {
		if t == n.Type {
			return true
		}
	}
	return len(f.Types) == 0
}

// NotificationStore keeps notifications.
type NotificationStore interface {
	AddNotification(ctx context.Context, n *Notification) error
	// Notifications gives those that a filter picks with numbers above after and up to
	// upto, in order.
	Notifications(ctx context.Context, f NotificationFilter, after, upto int64, limit int) ([]*Notification, error)
	// LastNotification is the newest number.
	LastNotification(ctx context.Context) (int64, error)
}

// NewMessageNotification tells of an agent's answer.
func NewMessageNotification(m *Message) (*Notification, error) {
	var text strings.Builder
	for _, p := range m.Parts {
		text.WriteString(p.Text)
	}
	data, err := json.Marshal(struct {
		Type      NotificationType `json:"type"`
		AgentID   string           `json:"agent_id"`
		SessionID string           `json:"session_id"`
		Message   string           `json:"message"`
		MessageID string           `json:"message_id"`
		RunID     string           `json:"run_id"`
	}{NotificationAgentMessage, m.AgentID, m.SessionID, text.String(), m.ID, m.RunID})
	return &Notification{Type: NotificationAgentMessage, UserID: m.UserID, AgentID: m.AgentID, Data: data, CreatedAt: m.CreatedAt}, err
}

// NewTaskNotification tells where a task stands.
func NewTaskNotification(t *Task) (*Notification, error) {
	type fault struct {
		Code      sdk.ErrorCode `json:"code"`
		Message   string        `json:"message"`
		Retryable bool          `json:"retryable"`
	}
	body := struct {
		Type     NotificationType `json:"type"`
		TaskID   string           `json:"task_id"`
		Status   TaskStatus       `json:"status"`
		AgentID  string           `json:"agent_id"`
		Attempts int              `json:"attempts"`
		RunID    string           `json:"run_id,omitempty"`
		Result   json.RawMessage  `json:"result,omitempty"`
		Error    *fault           `json:"error,omitempty"`
	}{
		Type: NotificationTaskStatus, TaskID: t.ID, Status: t.Status, AgentID: t.AgentID,
		Attempts: t.Attempts, RunID: t.RunID, Result: t.Result,
	}
	if e := t.Error; e != nil {
		body.Error = &fault{e.Code, e.Message, e.Retryable}
		if e.Code == sdk.CodeInternal {
			body.Error.Message = "Internal error" // its words are for the log
		}
	}
	data, err := json.Marshal(body)
	return &Notification{
		Type: NotificationTaskStatus, UserID: t.UserID, AgentID: t.AgentID, TaskID: t.ID, Data: data, CreatedAt: t.UpdatedAt,
	}, err
}

// Level is how much a system notification matters.
type Level string

// The levels.
const (
	LevelInfo    Level = "info"
	LevelWarning Level = "warning"
	LevelError   Level = "error"
)

// NewSystemNotification tells a user, or with an empty userID everybody, of something in
// the server.
func NewSystemNotification(level Level, message, userID string) (*Notification, error) {
	data, err := json.Marshal(struct {
		Type      NotificationType `json:"type"`
		Level     Level            `json:"level"`
		Message   string           `json:"message"`
		Timestamp time.Time        `json:"timestamp"`
	}{NotificationSystem, level, message, time.Now().UTC().Truncate(time.Millisecond)})
	return &Notification{Type: NotificationSystem, UserID: userID, Data: data, CreatedAt: time.Now().UTC()}, err
}

// Notifier tells of something in the server. It never waits.
type Notifier interface {
	// Notify tells a user, or with an empty userID everybody.
	Notify(level Level, userID, message string)
}

// The channels; those of agents and tasks have their ids in their names.
const (
	ChannelTasks  = "tasks"
	ChannelSystem = "system"
)

// AgentChannel has what an agent's sessions and tasks give.
func AgentChannel(id string) string { return "agent." + id + ".events" }

// TaskChannel has where a task stands.
func TaskChannel(id string) string { return "task." + id + ".events" }

// NotificationQueue takes messages for one subscriber. It must not wait.
type NotificationQueue interface {
	Put(message []byte)
}

// NotificationHub hands out notifications, as messages: their Data with the channel and seq.
type NotificationHub interface {
	// Last is the number up to which notifications were handed out.
	Last() int64
	// Subscribe hands a channel's notifications with numbers above after to send, until it
	// has caught up, and from then on to the queue, until stop: each once, in order.
	Subscribe(ctx context.Context, channel string, f NotificationFilter, after int64, q NotificationQueue,
		send func(messages [][]byte) error) (stop func(), err error)
}
