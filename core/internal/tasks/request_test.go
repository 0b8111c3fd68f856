package tasks

import (
	"encoding/hex"
	"encoding/json"
	"testing"
	"time"

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

// TestRequestHash_isStable fails if a server would not recognize a request that an earlier version received.
func TestRequestHash_isStable(t *testing.T) {
	t.Parallel()
	full := request(func(r *core.TaskRequest) {
		r.Description, r.Priority, r.FileIDs, r.Timeout = "All of it", core.PriorityHigh, []string{"file-1"}, time.Minute
		r.Data = json.RawMessage(`{"n":1,"s":"<b>"}`)
	})
	for want, r := range map[string]*core.TaskRequest{
		"664a8c4a83a9a7a3431e758f11b92f412c024cb65dd19e81c5000a046400800d": full,
		"ca55abbab5cf0ba3b71a839d0599850e7aa77b8d9260702c4983e821cf4a5b8b": request(),
	} {
		if hash, err := requestHash(r); err != nil || hex.EncodeToString(hash) != want {
			t.Errorf("requestHash(%+v) = %x, %v, want %s", r, hash, err, want)
		}
	}
}

func TestRequestHash(t *testing.T) {
	t.Parallel()
	data := func(s string) func(*core.TaskRequest) {
		return func(r *core.TaskRequest) { r.Data = json.RawMessage(s) }
	}
	hash := func(change func(*core.TaskRequest)) string {
		h, err := requestHash(request(data(`{"a":1,"b":2}`), change))
		if err != nil {
			t.Fatalf("requestHash() = %v", err)
		}
		return string(h)
	}
	first := hash(func(*core.TaskRequest) {})
	for name, c := range map[string]struct {
		change func(*core.TaskRequest)
		same   bool
	}{
		"white space":    {data(" {\n\"a\": 1, \"b\": 2 }"), true},
		"key":            {func(r *core.TaskRequest) { r.IdempotencyKey = "k" }, true},
		"order of data":  {data(`{"b":2,"a":1}`), false},
		"another number": {data(`{"a":1,"b":2.0}`), false},
		"title":          {func(r *core.TaskRequest) { r.Title = "Sum it up" }, false},
		"description":    {func(r *core.TaskRequest) { r.Description = "x" }, false},
		"agent":          {func(r *core.TaskRequest) { r.AgentID = "agent-2" }, false},
		"priority":       {func(r *core.TaskRequest) { r.Priority = core.PriorityLow }, false},
		"files":          {func(r *core.TaskRequest) { r.FileIDs = []string{"file-1"} }, false},
		"timeout":        {func(r *core.TaskRequest) { r.Timeout = time.Second }, false},
		"attempts":       {func(r *core.TaskRequest) { r.MaxAttempts = 1 }, false},
	} {
		if got := hash(c.change) == first; got != c.same {
			t.Errorf("%s: requestHash is the same: %v, want %v", name, got, c.same)
		}
	}
}
