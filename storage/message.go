package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"math"
	"slices"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

const (
	insertedColumns = `id, session_key, session_id, agent_id, user_id, run_id, role, text, parts, steps,
metadata, created_at`
	messageColumns = insertedColumns + `, position`
)

var (
	insertMessage = &preparedStatement{`INSERT INTO messages (` + insertedColumns + `)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`}

	selectMessage = &preparedStatement{`SELECT ` + messageColumns + ` FROM messages WHERE id = ?`}

	// Positions increase with each commit. They order messages of the same microsecond, and also when
	// the clock was set back.
	selectHistory = &preparedStatement{`SELECT ` + messageColumns + ` FROM messages WHERE session_key = ?
AND position < (SELECT position FROM messages WHERE id = ?) ORDER BY position DESC LIMIT ?`}

	selectOfUser = &preparedStatement{`SELECT ` + messageColumns + ` FROM messages WHERE agent_id = ? AND user_id = ?
AND created_at < ? AND position < ? ORDER BY position DESC LIMIT ?`}

	selectOfUserChats = &preparedStatement{`SELECT ` + messageColumns + ` FROM messages WHERE agent_id = ? AND user_id = ?
AND created_at < ? AND position < ? AND substr(session_id, 1, 5) <> 'task-' ORDER BY position DESC LIMIT ?`}

	selectOfSession = &preparedStatement{`SELECT ` + messageColumns + ` FROM messages
WHERE session_key = (SELECT key FROM sessions WHERE agent_id = ? AND user_id = ? AND id = ?)
AND created_at < ? AND position < ? ORDER BY position DESC LIMIT ?`}
)

// forever is later than every stored time, and after every position.
const forever = math.MaxInt64

// storedMessage contains the columns of a message except for those of its session. A message with a
// single text, as nearly all have, has an empty parts column. Decoding parts from JSON took most of
// the time of reading a history.
type storedMessage struct {
	id, runID, role, text, parts, steps, metadata string
	createdAt                                     int64
}

// encodeMessage converts a message to columns, so that the transaction does not have to.
func encodeMessage(m *core.Message, runID string) (storedMessage, error) {
	s := storedMessage{
		id: m.ID, runID: runID, role: string(m.Role),
		metadata: string(m.Metadata), createdAt: micros(m.CreatedAt),
	}
	if len(m.Steps) > 0 {
		steps, err := json.Marshal(m.Steps)
		if err != nil {
			return s, err
		}
		s.steps = string(steps)
	}
	if len(m.Parts) == 1 && m.Parts[0].Blob == nil && m.Parts[0].File == nil {
		s.text = m.Parts[0].Text
		return s, nil
	}
	parts, err := json.Marshal(m.Parts)
	s.parts = string(parts)
	return s, err
}

// insert stores the message in the session of its run.
func (m storedMessage) insert(ctx context.Context, tx *tx, sessionKey, sessionID, agentID, userID string) error {
	_, err := tx.exec(ctx, insertMessage, m.id, sessionKey, sessionID, agentID, userID,
		m.runID, m.role, m.text, m.parts, m.steps, m.metadata, m.createdAt)
	return err
}

// scanMessage returns the message of a row and its size in bytes.
func scanMessage(scan func(dest ...any) error) (m *core.Message, size int, err error) {
	m = new(core.Message)
	var role, text string
	var parts, steps, metadata []byte
	var created int64
	err = scan(&m.ID, &m.SessionKey, &m.SessionID, &m.AgentID, &m.UserID, &m.RunID,
		&role, &text, &parts, &steps, &metadata, &created, &m.Position)
	if err != nil {
		return nil, 0, err
	}
	size = len(text) + len(parts) + len(steps) + len(metadata)
	m.Role, m.CreatedAt = sdk.Role(role), instant(created)
	if len(metadata) > 0 {
		m.Metadata = metadata
	}
	if len(steps) > 0 {
		if err := json.Unmarshal(steps, &m.Steps); err != nil {
			return nil, 0, err
		}
	}
	if len(parts) == 0 {
		m.Parts = []sdk.Part{{Text: text}}
		return m, size, nil
	}
	return m, size, json.Unmarshal(parts, &m.Parts)
}

// messages returns the messages that a statement selects, in reverse order: the statement returns the
// newest first, messages the oldest first. It stops after limit messages, and before atLeast or more messages
// exceed core.MaxPageBytes. more reports whether it stopped early. The last argument of the statement is its
// limit.
func (db *DB) messages(
	ctx context.Context, p *preparedStatement, limit, atLeast int, args ...any,
) (found []*core.Message, more bool, err error) {
	limit = max(limit, 0)
	bytes := 0
	err = db.query(ctx, p, append(args, limit+1), func(rows *sql.Rows) error {
		m, size, err := scanMessage(rows.Scan)
		bytes += size
		if len(found) == limit || len(found) >= atLeast && bytes > core.MaxPageBytes {
			more = true
			return errStop
		}
		found = append(found, m)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	slices.Reverse(found)
	return found, more, nil
}

// Messages implements core.MessageStore.
func (db *DB) Messages(ctx context.Context, f core.MessageFilter) ([]*core.Message, bool, error) {
	before := int64(forever)
	if !f.Before.IsZero() {
		before = micros(f.Before)
	}
	position := int64(forever)
	if f.BeforePosition != 0 {
		position = f.BeforePosition
	}
	if f.SessionID == "" {
		statement := selectOfUser
		if f.WithoutTasks {
			statement = selectOfUserChats
		}
		return db.messages(ctx, statement, f.Limit, 1, f.AgentID, f.UserID, before, position)
	}
	return db.messages(ctx, selectOfSession, f.Limit, 1, f.AgentID, f.UserID, f.SessionID, before, position)
}

// HistoryBefore implements core.MessageStore. It returns no messages if messageID does not exist.
func (db *DB) HistoryBefore(
	ctx context.Context, sessionKey, messageID string, limit int,
) ([]*core.Message, bool, error) {
	return db.messages(ctx, selectHistory, limit, 0, sessionKey, messageID)
}

// Message implements core.MessageStore.
func (db *DB) Message(ctx context.Context, id string) (*core.Message, error) {
	var m *core.Message
	err := db.query(ctx, selectMessage, []any{id}, func(rows *sql.Rows) (err error) {
		m, _, err = scanMessage(rows.Scan)
		return err
	})
	if err == nil && m == nil {
		err = core.NotFound("message", id)
	}
	return m, err
}
