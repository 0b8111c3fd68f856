package tasks

import (
	"encoding/json"
	"testing"

	"github.com/agentarea/agentarea/core"
)

func TestPrompt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		request core.TaskRequest
		want    string
	}{
		"title":       {core.TaskRequest{Title: "Sum up"}, "Sum up"},
		"description": {core.TaskRequest{Title: "Sum up", Description: "All of it"}, "Sum up\n\nAll of it"},
		"data": {
			core.TaskRequest{Title: "Sum up", Data: json.RawMessage(`{"n":[1,2.50],"s":"<b>"}`)},
			"Sum up\n\nData:\n```json\n{\n  \"n\": [\n    1,\n    2.50\n  ],\n  \"s\": \"<b>\"\n}\n```",
		},
		"everything": {
			core.TaskRequest{Title: "Sum up", Description: "All of it", Data: json.RawMessage(`{}`)},
			"Sum up\n\nAll of it\n\nData:\n```json\n{}\n```",
		},
	} {
		if got := prompt(&c.request); got != c.want {
			t.Errorf("%s: prompt() = %q, want %q", name, got, c.want)
		}
	}
}
