package core

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/agentarea/agentarea/sdk"
)

// NotificationType is the type of a notification.
type NotificationType string

// The types of notifications.
const (
	NotificationAgentMessage NotificationType = "agent.message"
	NotificationTaskStatus   NotificationType = "task.status"
	NotificationSystem       NotificationType = "system.notification"
)

// Notification informs the subscribers of a channel about a change. It is stored in the same
// transaction as the change.
type Notification struct {
	// Seq numbers all notifications in the order in which they become visible.
	Seq  int64
	Type NotificationType
	// UserID is the user that the notification is for. It is empty for a notification to all users.
	UserID string
	// AgentID and TaskID are empty if the notification is not about an agent or a task.
	AgentID string
	TaskID  string
	// SessionKey is the key of the session that the notification is about, or empty. A notification is
	// deleted with its session and with its task.
	SessionKey string
	// Data is a JSON object with a "type" field.
	Data      json.RawMessage
	CreatedAt time.Time
}

// NotificationFilter selects the notifications of a channel. Empty fields match all notifications.
type NotificationFilter struct {
	// UserID selects the notifications to this user and those to all users.
	UserID  string
	AgentID string
	TaskID  string
	// WithoutTasks leaves out the notifications about tasks.
	WithoutTasks bool
	Types        []NotificationType
}

// Matches reports whether the filter selects the notification.
func (f *NotificationFilter) Matches(n *Notification) bool {
	if f.UserID != "" && n.UserID != "" && n.UserID != f.UserID ||
		f.AgentID != "" && n.AgentID != f.AgentID || f.TaskID != "" && n.TaskID != f.TaskID ||
		f.WithoutTasks && n.TaskID != "" {
		return false
	}
	for _, t := range f.Types {
		if t == n.Type {
			return true
		}
	}
	return len(f.Types) == 0
}

// NotificationStore stores notifications.
type NotificationStore interface {
	// AddNotification stores a notification.
	AddNotification(ctx context.Context, n *Notification) error
	// Notifications returns up to limit matching notifications with after < Seq <= upto, ordered by
	// Seq. It returns fewer, but at least one, if they would exceed MaxPageBytes. more reports whether
	// there may be more.
	Notifications(
		ctx context.Context, f NotificationFilter, after, upto int64, limit int,
	) (found []*Notification, more bool, err error)
	// LastNotification returns the highest Seq, or 0 if there are no notifications.
	LastNotification(ctx context.Context) (int64, error)
	// NewestNotification returns the highest Seq of all notifications, including deleted ones, or 0 if there was none.
	NewestNotification(ctx context.Context) (int64, error)
}

// NewMessageNotification returns a notification about an agent's answer.
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
	return &Notification{
		Type: NotificationAgentMessage, UserID: m.UserID, AgentID: m.AgentID, Data: data, CreatedAt: m.CreatedAt,
	}, err
}

// InternalRunError returns the text that users see instead of that of an internal error. It names where an
// administrator finds the reason. runID is empty for a task that failed before it had a run.
func InternalRunError(runID string) string {
	if runID == "" {
		return "Internal error"
	}
	return "Internal error; the server's log has the reason under run_id " + runID
}

// NewTaskNotification returns a notification with the current status of a task. It replaces the
// message of an internal error, which is for the log only.
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
			body.Error.Message = InternalRunError(t.RunID)
		}
	}
	data, err := json.Marshal(body)
	return &Notification{
		Type: NotificationTaskStatus, UserID: t.UserID, AgentID: t.AgentID, TaskID: t.ID, Data: data, CreatedAt: t.UpdatedAt,
	}, err
}

// Level is the severity of a system notification.
type Level string

// The levels.
const (
	LevelInfo    Level = "info"
	LevelWarning Level = "warning"
	LevelError   Level = "error"
)

// NewSystemNotification returns a notification about the server. An empty userID sends it to all
// users.
func NewSystemNotification(level Level, message, userID string) (*Notification, error) {
	data, err := json.Marshal(struct {
		Type      NotificationType `json:"type"`
		Level     Level            `json:"level"`
		Message   string           `json:"message"`
		Timestamp time.Time        `json:"timestamp"`
	}{NotificationSystem, level, message, time.Now().UTC().Truncate(time.Millisecond)})
	return &Notification{Type: NotificationSystem, UserID: userID, Data: data, CreatedAt: time.Now().UTC()}, err
}

// Notifier sends system notifications. It never blocks.
type Notifier interface {
	// Notify sends a notification to one user, or to all users if userID is empty.
	Notify(level Level, userID, message string)
}

// The channels that are not about one agent or task. AgentChannel and TaskChannel name the others.
const (
	ChannelTasks  = "tasks"
	ChannelSystem = "system"
)

// AgentChannel returns the name of the channel with the events of an agent's sessions and tasks.
func AgentChannel(id string) string { return "agent." + id + ".events" }

// TaskChannel returns the name of the channel with the status changes of a task.
func TaskChannel(id string) string { return "task." + id + ".events" }

// NotificationQueue receives the messages for one subscriber. Put must not block.
type NotificationQueue interface {
	Put(message []byte)
}

// NotificationHub delivers notifications to subscribers. A message is the Data of a notification
// with its channel and seq added.
type NotificationHub interface {
	// Last returns the Seq of the last notification that was delivered.
	Last() int64
	// Newest returns the highest Seq of a notification that any server has stored, including deleted ones.
	Newest(ctx context.Context) (int64, error)
	// Subscribe delivers the notifications of a channel whose Seq is greater than after, each exactly
	// once and in order. It passes stored notifications to send and returns when it has caught up.
	// From then on it puts new ones into q, until stop is called.
	Subscribe(ctx context.Context, channel string, f NotificationFilter, after int64, q NotificationQueue,
		send func(messages [][]byte) error) (stop func(), err error)
}
