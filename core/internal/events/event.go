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

// last says whether a run's log ends with an event of this type.
func last(typ string) bool { return typ == TypeEnd || typ == TypeError }

// token makes the event of one token.
func token(seq int64, text string) core.Event {
	data := make([]byte, 0, len(text)+40)
	data = append(data, `{"type":"token","content":`...)
	data = appendString(data, text)
	return core.Event{Seq: seq, Data: append(data, '}')}
}

// expand gives the events of a row with numbers above after.
func expand(row core.EventRow, after int64) ([]core.Event, error) {
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
			out = append(out, token(seq, text))
		}
	}
	return out, nil
}

// tokenRow packs tokens into one row.
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
