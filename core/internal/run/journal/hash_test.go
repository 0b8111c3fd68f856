package journal

import (
	"encoding/hex"
	"testing"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

// A run that an older server started must be replayable, so hashes never change.
func TestHash_isTheSameInEveryRelease(t *testing.T) {
	t.Parallel()
	temperature, maxTokens := 0.5, int64(9)
	request := &agent.Completion{
		Model: "m", Messages: []sdk.Message{
			{Role: sdk.RoleUser, Parts: []sdk.Part{{Text: "q"}, {Blob: &sdk.Blob{MediaType: "image/png", Data: []byte{1}}}}},
			{Role: sdk.RoleAssistant, ToolCalls: []sdk.ToolCall{{ID: "c", Name: "t", Arguments: "{}"}}},
			{Role: sdk.RoleTool, ToolCallID: "c", Parts: []sdk.Part{{Text: "r"}}},
		},
		Tools: []sdk.Tool{{Name: "t"}}, Temperature: &temperature, MaxTokens: &maxTokens, Stop: []string{"END"},
	}
	for want, call := range map[string]*agent.Call{
		"d55a45bd11771879a8cf4ce1bbbfe08b66cdc52e39a4c9f1692d03a769849162": {Complete: request},
		"202a5c7ebacbc7e16b8d4d83b4ced1c904733e3c3ef7be2982cc45547e86c1a5": {CallTool: &sdk.ToolCall{ID: "c", Name: "t", Arguments: "{}"}},
		"d32a7fb21b6a73f602b1545b85f70148ace9c6d73b40c8e3006e273e9ead90d0": {ListTools: true},
	} {
		if got := hex.EncodeToString(Hash(call)); got != want {
			t.Errorf("Hash(%+v) = %s, want %s", call, got, want)
		}
	}
}

func TestHash_dependsOnFiles(t *testing.T) {
	t.Parallel()
	complete := func(id string) string {
		parts := []sdk.Part{{Text: "q"}}
		if id != "" {
			parts = append(parts, sdk.Part{File: &sdk.File{ID: id}})
		}
		return string(Hash(&agent.Call{Complete: &agent.Completion{Messages: []sdk.Message{{Parts: parts}}}}))
	}
	read := func(r agent.FileRange) string { return string(Hash(&agent.Call{ReadFile: &r})) }
	all := []string{
		complete(""), complete("file-1"), complete("file-2"), read(agent.FileRange{FileID: "file-1"}),
		read(agent.FileRange{FileID: "file-1", Offset: 1}), read(agent.FileRange{FileID: "file-1", Length: 1}),
	}
	seen := map[string]bool{}
	for i, h := range all {
		if seen[h] {
			t.Errorf("request %d has the same hash as an earlier one, want a different hash", i)
		}
		seen[h] = true
	}
}
