package core

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/agentarea/agentarea/sdk"
)

// NoticeType is what a notice tells of.
type NoticeType string

// The types.
const (
	NoticeAgentMessage NoticeType = "agent.message"
	NoticeTaskStatus   NoticeType = "task.status"
	NoticeSystem       NoticeType = "system.notification"
)

// Notice tells those who watch a channel that something has happened. Notices are
// stored with what they tell of, in one transaction.
type Notice struct {
	// Seq numbers all notices in the order in which they can be read.
	Seq  int64
	Type NoticeType
	// UserID is whose it is; empty for everybody's.
	UserID string
	// AgentID and TaskID are empty where there is none.
	AgentID string
	TaskID  string
	// Data is a JSON object with a type.
	Data      json.RawMessage
	CreatedAt time.Time
}

// NoticeFilter picks the notices of a channel. Empty fields pick all.
type NoticeFilter struct {
	// UserID picks a user's own and everybody's.
	UserID  string
	AgentID string
	TaskID  string
	// Types are those that are wanted.
	Types []NoticeType
}

// Matches says whether the filter picks the notice.
func (f *NoticeFilter) Matches(n *Notice) bool {
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

// NoticeStore keeps notices.
type NoticeStore interface {
	AddNotice(ctx context.Context, n *Notice) error
	// Notices gives those that a filter picks with numbers above after and up to
	// upto, in order.
	Notices(ctx context.Context, f NoticeFilter, after, upto int64, limit int) ([]*Notice, error)
	// LastNotice is the newest number.
	LastNotice(ctx context.Context) (int64, error)
}

// NewMessageNotice tells of an agent's answer.
func NewMessageNotice(m *Message) (*Notice, error) {
	var text strings.Builder
	for _, p := range m.Parts {
		text.WriteString(p.Text)
	}
	data, err := json.Marshal(struct {
		Type      NoticeType `json:"type"`
		AgentID   string     `json:"agent_id"`
		SessionID string     `json:"session_id"`
		Message   string     `json:"message"`
		MessageID string     `json:"message_id"`
		RunID     string     `json:"run_id"`
	}{NoticeAgentMessage, m.AgentID, m.SessionID, text.String(), m.ID, m.RunID})
	return &Notice{Type: NoticeAgentMessage, UserID: m.UserID, AgentID: m.AgentID, Data: data, CreatedAt: m.CreatedAt}, err
}

// NewTaskNotice tells where a task stands.
func NewTaskNotice(t *Task) (*Notice, error) {
	type fault struct {
		Code      sdk.ErrorCode `json:"code"`
		Message   string        `json:"message"`
		Retryable bool          `json:"retryable"`
	}
	body := struct {
		Type     NoticeType      `json:"type"`
		TaskID   string          `json:"task_id"`
		Status   TaskStatus      `json:"status"`
		AgentID  string          `json:"agent_id"`
		Attempts int             `json:"attempts"`
		RunID    string          `json:"run_id,omitempty"`
		Result   json.RawMessage `json:"result,omitempty"`
		Error    *fault          `json:"error,omitempty"`
	}{
		Type: NoticeTaskStatus, TaskID: t.ID, Status: t.Status, AgentID: t.AgentID,
		Attempts: t.Attempts, RunID: t.RunID, Result: t.Result,
	}
	if e := t.Error; e != nil {
		body.Error = &fault{e.Code, e.Message, e.Retryable}
		if e.Code == sdk.CodeInternal {
			body.Error.Message = "Internal error" // its words are for the log
		}
	}
	data, err := json.Marshal(body)
	return &Notice{
		Type: NoticeTaskStatus, UserID: t.UserID, AgentID: t.AgentID, TaskID: t.ID, Data: data, CreatedAt: t.UpdatedAt,
	}, err
}

// Level is how much a system notice matters.
type Level string

// The levels.
const (
	LevelInfo    Level = "info"
	LevelWarning Level = "warning"
	LevelError   Level = "error"
)

// NewSystemNotice tells a user, or with an empty userID everybody, of something in
// the server.
func NewSystemNotice(level Level, message, userID string) (*Notice, error) {
	data, err := json.Marshal(struct {
		Type      NoticeType `json:"type"`
		Level     Level      `json:"level"`
		Message   string     `json:"message"`
		Timestamp time.Time  `json:"timestamp"`
	}{NoticeSystem, level, message, time.Now().UTC().Truncate(time.Millisecond)})
	return &Notice{Type: NoticeSystem, UserID: userID, Data: data, CreatedAt: time.Now().UTC()}, err
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

// NoticeQueue takes messages for one subscriber. It must not wait.
type NoticeQueue interface {
	Put(message []byte)
}

// NoticeHub hands out notices, as messages: their Data with the channel and seq.
type NoticeHub interface {
	// Last is the number up to which notices were handed out.
	Last() int64
	// Subscribe hands a channel's notices with numbers above after to send, until it
	// has caught up, and from then on to the queue, until stop: each once, in order.
	Subscribe(ctx context.Context, channel string, f NoticeFilter, after int64, q NoticeQueue,
		send func(messages [][]byte) error) (stop func(), err error)
}
