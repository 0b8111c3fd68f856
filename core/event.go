package core

import (
	"context"
	"encoding/json"
	"time"
)

// Event is one event of a run, as its subscribers receive it.
type Event struct {
	// Seq numbers the events of a run, starting at 1. It has gaps only where a run was resumed after
	// a crash.
	Seq int64
	// Data is a JSON object with a "type" field.
	Data json.RawMessage
}

// EventRow is one row of the event log: a single event, or a batch of token events.
type EventRow struct {
	RunID string
	// First and Last are the sequence numbers that the row covers.
	First, Last int64
	// Type is the type of the events. It is "token" for a batch.
	Type string
	// Data is the event, or for a batch the JSON array of the token texts.
	Data      json.RawMessage
	CreatedAt time.Time
}

// EventStore stores the event log.
type EventStore interface {
	// AppendEvents stores rows of several runs in one transaction. It skips rows of runs that no
	// longer exist and rows that are already stored.
	AppendEvents(ctx context.Context, rows []EventRow) error
	// Events returns up to limit rows of a run that cover sequence numbers greater than after, in
	// order. It returns fewer rows, but at least one, if they would exceed MaxEventBytes.
	Events(ctx context.Context, runID string, after int64, limit int) ([]EventRow, error)
}

// EventStream delivers the events of one run, each exactly once and in order.
type EventStream interface {
	// Next waits until there are events and returns all that are available. It returns io.EOF after
	// the last event of a run that has ended.
	Next(ctx context.Context) ([]Event, error)
}
