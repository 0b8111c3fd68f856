package core

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/agentarea/agentarea/sdk"
)

// UsageKey is a key by which usage is grouped.
type UsageKey string

// The keys.
const (
	UsageByDay   UsageKey = "day"
	UsageByAgent UsageKey = "agent"
	UsageByModel UsageKey = "model"
	UsageByUser  UsageKey = "user"
)

// UsageRow is the usage of all completions that have the same keys.
type UsageRow struct {
	// Day is the midnight in UTC at which the day begins. It is zero if usage is not grouped by day.
	Day time.Time
	// AgentID, Model and UserID are empty if usage is not grouped by them. Model has the form
	// label/model, as in GET /v1/models.
	AgentID, Model, UserID string
	Completions            int64
	sdk.Usage
}

// PageKey returns the position of the row in its list.
func (r *UsageRow) PageKey() PageKey {
	text, _ := json.Marshal([3]string{r.AgentID, r.Model, r.UserID}) // strings always encode
	key := PageKey{Text: string(text)}
	if !r.Day.IsZero() {
		key.Number = r.Day.UnixMicro()
	}
	return key
}

// UsageRowAfter returns a row with the keys of the row that has the given position. It fails with Invalid.
func UsageRowAfter(k PageKey) (r UsageRow, err error) {
	var keys [3]string
	// PostgreSQL rejects NUL, which JSON can contain as an escape.
	if json.Unmarshal([]byte(k.Text), &keys) != nil || strings.Contains(strings.Join(keys[:], ""), "\x00") {
		return r, Invalid("cursor", "Must be the next_cursor of a page of this list")
	}
	return UsageRow{Day: time.UnixMicro(k.Number).UTC(), AgentID: keys[0], Model: keys[1], UserID: keys[2]}, nil
}

// UsageFilter selects and groups usage.
type UsageFilter struct {
	// From and To are the first and the last day, as midnights in UTC. Both are inclusive.
	From, To time.Time
	// AgentID, Model and UserID select usage. Empty fields match all usage.
	AgentID, Model, UserID string
	// By contains the keys to group by, without duplicates. If it is empty, the result is one row.
	By []UsageKey
	Page
}

// StorageUsage is the size of what a user stores, in bytes.
type StorageUsage struct {
	// Database is the size of the user's rows: agents, MCP servers, sessions with their messages and runs, tasks,
	// notifications, and the names and metadata of files. A row counts its texts and a fixed number of bytes.
	Database int64
	// Files is the size of the contents of the user's files.
	Files int64
}

// UsageStore reports the usage of completions and of storage. The usage of completions is kept when its runs,
// agents and users are deleted.
type UsageStore interface {
	// StorageUsage returns what a user stores. It fails with Forbidden if the actor is neither the user nor an
	// admin, and with NotFound if an admin asks for a user who does not exist.
	StorageUsage(ctx context.Context, actor Actor, userID string) (StorageUsage, error)
	// Usage returns a page of rows ordered by their keys with the newest day first, the number of all
	// rows, and the sum of all rows. Actors see their own usage, admins all usage.
	Usage(ctx context.Context, actor Actor, f UsageFilter) (rows []UsageRow, total int, sum UsageRow, err error)
}
