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

const messageColumns = `id, session_key, session_id, agent_id, user_id, run_id, role, text, parts, metadata, created_at`

var (
	insertMessage = &preparedStatement{`INSERT INTO messages (` + messageColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`}

	selectMessage = &preparedStatement{`SELECT ` + messageColumns + ` FROM messages WHERE id = ?`}

	// Positions are in the order of the commits, so they tell messages of the
	// same microsecond apart, and stay in order when a clock is set back.
	selectHistory = &preparedStatement{`SELECT ` + messageColumns + ` FROM messages WHERE session_key = ?
AND position < (SELECT position FROM messages WHERE id = ?) ORDER BY position DESC LIMIT ?`}

	selectOfUser = &preparedStatement{`SELECT ` + messageColumns + ` FROM messages WHERE agent_id = ? AND user_id = ?
AND created_at < ? ORDER BY position DESC LIMIT ?`}

	selectOfSession = &preparedStatement{`SELECT ` + messageColumns + ` FROM messages
WHERE session_key = (SELECT key FROM sessions WHERE agent_id = ? AND user_id = ? AND id = ?)
AND created_at < ? ORDER BY position DESC LIMIT ?`}
)

// forever is after every time there is.
const forever = math.MaxInt64

// storedMessage is a message but for its session, ready to be stored. One that is
// one text, as nearly all are, has no parts: decoding them as JSON was the most
// of reading a history.
type storedMessage struct {
	id, runID, role, text, parts, metadata string
	createdAt                              int64
}

// storeMessage does the work that needs no transaction.
func storeMessage(m *core.Message, runID string) (storedMessage, error) {
	s := storedMessage{
		id: m.ID, runID: runID, role: string(m.Role),
		metadata: string(m.Metadata), createdAt: micros(m.CreatedAt),
	}
	if len(m.Parts) == 1 && m.Parts[0].Blob == nil && m.Parts[0].File == nil {
		s.text = m.Parts[0].Text
		return s, nil
	}
	parts, err := json.Marshal(m.Parts)
	s.parts = string(parts)
	return s, err
}

// insert stores a message of the session that the run is of.
func (m storedMessage) insert(ctx context.Context, tx *tx, sessionKey, sessionID, agentID, userID string) error {
	_, err := tx.exec(ctx, insertMessage, m.id, sessionKey, sessionID, agentID, userID,
		m.runID, m.role, m.text, m.parts, m.metadata, m.createdAt)
	return err
}

func scanMessage(scan func(dest ...any) error) (*core.Message, error) {
	m := new(core.Message)
	var role, text string
	var parts, metadata []byte
	var created int64
	err := scan(&m.ID, &m.SessionKey, &m.SessionID, &m.AgentID, &m.UserID, &m.RunID,
		&role, &text, &parts, &metadata, &created)
	if err != nil {
		return nil, err
	}
	m.Role, m.CreatedAt = sdk.Role(role), instant(created)
	if len(metadata) > 0 {
		m.Metadata = metadata
	}
	if len(parts) == 0 {
		m.Parts = []sdk.Part{{Text: text}}
		return m, nil
	}
	return m, json.Unmarshal(parts, &m.Parts)
}

// messages gives what a statement that finds the newest first finds, the oldest first.
func (db *DB) messages(ctx context.Context, p *preparedStatement, args ...any) ([]*core.Message, error) {
	var found []*core.Message
	err := db.query(ctx, p, args, func(rows *sql.Rows) error {
		m, err := scanMessage(rows.Scan)
		found = append(found, m)
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.Reverse(found)
	return found, nil
}

// Messages implements core.MessageStore.
func (db *DB) Messages(ctx context.Context, f core.MessageFilter) ([]*core.Message, error) {
	before, limit := int64(forever), max(f.Limit, 0)
	if !f.Before.IsZero() {
		before = micros(f.Before)
	}
	if f.SessionID == "" {
		return db.messages(ctx, selectOfUser, f.AgentID, f.UserID, before, limit)
	}
	return db.messages(ctx, selectOfSession, f.AgentID, f.UserID, f.SessionID, before, limit)
}

// HistoryBefore implements core.MessageStore. It gives none when there is no
// message of that id.
func (db *DB) HistoryBefore(ctx context.Context, sessionKey, messageID string, limit int) ([]*core.Message, error) {
	return db.messages(ctx, selectHistory, sessionKey, messageID, max(limit, 0))
}

// Message implements core.MessageStore.
func (db *DB) Message(ctx context.Context, id string) (*core.Message, error) {
	var m *core.Message
	err := db.query(ctx, selectMessage, []any{id}, func(rows *sql.Rows) (err error) {
		m, err = scanMessage(rows.Scan)
		return err
	})
	if err == nil && m == nil {
		err = core.NotFound("message", id)
	}
	return m, err
}
