package runs

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
	"github.com/agentarea/agentarea/sdk"
)

// withoutFiles is an event stream that does not show what the tools for files have read and written. It is for API
// keys without files:read.
type withoutFiles struct{ core.EventStream }

// Next implements core.EventStream.
func (s withoutFiles) Next(ctx context.Context) ([]core.Event, error) {
	events, err := s.EventStream.Next(ctx)
	events = slices.Clone(events) // other watchers may have the same slice
	for i, e := range events {
		events[i].Data = withoutFile(e.Data)
	}
	return events, err
}

// withoutFile returns the data of an event without the arguments or the result of a tool for files.
func withoutFile(data json.RawMessage) json.RawMessage {
	if !bytes.Contains(data, []byte(core.FileToolPrefix)) {
		return data
	}
	var name string
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil || json.Unmarshal(fields["name"], &name) != nil || !core.IsFileTool(name) {
		return data
	}
	if _, ok := fields["arguments"]; ok {
		fields["arguments"] = json.RawMessage("{}")
	}
	if _, ok := fields["content"]; ok {
		fields["content"], _ = json.Marshal([]sdk.Part{{Text: api.HiddenFile}})
	}
	hidden, err := json.Marshal(fields)
	if err != nil {
		return data
	}
	return hidden
}
