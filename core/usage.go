package core

import (
	"context"
	"time"

	"github.com/agentarea/agentarea/sdk"
)

// UsageKey is what usage is counted by.
type UsageKey string

// The keys.
const (
	UsageByDay   UsageKey = "day"
	UsageByAgent UsageKey = "agent"
	UsageByModel UsageKey = "model"
	UsageByUser  UsageKey = "user"
)

// UsageRow is what completions have used, of those that have the same keys.
type UsageRow struct {
	// Day is the midnight in UTC that begins it; zero when not counted by days.
	Day time.Time
	// AgentID, Model and UserID are empty when not counted by them. Model is
	// label/model, as GET /v1/models has it.
	AgentID, Model, UserID string
	Completions            int64
	sdk.Usage
}

// UsageFilter says what is to be counted, and by what.
type UsageFilter struct {
	// From and To are days, both counted: midnights in UTC.
	From, To time.Time
	// AgentID, Model and UserID choose; empty for all.
	AgentID, Model, UserID string
	// By are the keys, each once; without any there is one row.
	By []UsageKey
	Page
}

// UsageStore counts what completions have used. What is counted outlives the
// runs, the agents and the users.
type UsageStore interface {
	// Usage gives the rows of a page in the order of their keys, the newest day
	// first; how many there are in all; and the sum of all. A viewer sees the own
	// usage, an admin all.
	Usage(ctx context.Context, v Actor, f UsageFilter) (rows []UsageRow, total int, sum UsageRow, err error)
}
