package events

import (
	"encoding/json"
	"fmt"

	"github.com/agentarea/agentarea/core"
)

// Types of events.
const (
	TypeStart      = "start"
	TypeToken      = "token"
	TypeToolCall   = "tool_call"
	TypeToolResult = "tool_result"
	TypeUsage      = "usage"
	TypeRestart    = "restart"
	TypeEnd        = "end"
	TypeError      = "error"
)

// isLast reports whether an event of this type is the last one of a run.
func isLast(typ string) bool { return typ == TypeEnd || typ == TypeError }

// tokenEvent returns the event of one token.
func tokenEvent(seq int64, text string) core.Event {
	data := make([]byte, 0, len(text)+40)
	data = append(data, `{"type":"token","content":`...)
	data = appendString(data, text)
	return core.Event{Seq: seq, Data: append(data, '}')}
}

// tokenRow returns one row that holds texts. The first text has the number first.
func tokenRow(runID string, first int64, texts []string) core.EventRow {
	data := []byte{'['}
	for i, text := range texts {
		if i > 0 {
			data = append(data, ',')
		}
		data = appendString(data, text)
	}
	return core.EventRow{
		RunID: runID, First: first, Last: first + int64(len(texts)) - 1,
		Type: TypeToken, Data: append(data, ']'),
	}
}

// rowEvents returns the events of a row whose numbers are above after.
func rowEvents(row core.EventRow, after int64) ([]core.Event, error) {
	if row.Type != TypeToken {
		return []core.Event{{Seq: row.First, Data: row.Data}}, nil
	}
	var texts []string
	if err := json.Unmarshal(row.Data, &texts); err != nil {
		return nil, fmt.Errorf("tokens %d to %d of run %s: %w", row.First, row.Last, row.RunID, err)
	}
	var out []core.Event
	for i, text := range texts {
		if seq := row.First + int64(i); seq > after {
			out = append(out, tokenEvent(seq, text))
		}
	}
	return out, nil
}
