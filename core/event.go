package core

import (
	"context"
	"encoding/json"
	"time"
)

// Event is one thing that happened in a run, as its watchers get it.
type Event struct {
	// Seq numbers a run's events from 1. It rises, without gaps unless the run
	// was taken up after a crash.
	Seq int64
	// Data is a JSON object with a type.
	Data json.RawMessage
}

// EventRow is one row of the event log: an event, or a batch of tokens.
type EventRow struct {
	RunID string
	// First and Last are the sequence numbers that the row covers.
	First, Last int64
	// Type is that of the events: token for a batch.
	Type string
	// Data is the event, or for tokens the JSON array of their texts.
	Data      json.RawMessage
	CreatedAt time.Time
}

// EventStore keeps the event log.
type EventStore interface {
	// AppendEvents stores rows of many runs in one transaction. Rows of runs
	// that are gone, and rows that are there already, are left out.
	AppendEvents(ctx context.Context, rows []EventRow) error
	// Events gives the rows of a run that cover numbers above after, in order.
	Events(ctx context.Context, runID string, after int64, limit int) ([]EventRow, error)
}

// EventStream gives a run's events, from where its watcher wants them, exactly
// once each and in order.
type EventStream interface {
	// Next waits for events and gives all that are there. It fails with io.EOF
	// after the last one of an ended run.
	Next(ctx context.Context) ([]Event, error)
}
