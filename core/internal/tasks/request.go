package tasks

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/agentarea/agentarea/core"
)

// maxData is the maximum size of a task's data in bytes. The data becomes part of the prompt.
const maxData = 256 << 10

// check fails with Invalid if the data is too large or the idempotency key is not printable ASCII.
func check(r *core.TaskRequest) error {
	if len(r.Data) > maxData {
		return core.Invalid("data",
			"Must be at most 256 KiB of JSON, but is %d bytes. Upload a file and pass its id in file_ids.", len(r.Data))
	}
	for _, c := range r.IdempotencyKey {
		if c < ' ' || c > '~' {
			return core.Invalid("Idempotency-Key", "Must be printable ASCII")
		}
	}
	return nil
}

// prompt returns the message that the agent receives.
func prompt(r *core.TaskRequest) string {
	var text strings.Builder
	text.WriteString(r.Title)
	if r.Description != "" {
		text.WriteString("\n\n" + r.Description)
	}
	if len(r.Data) > 0 {
		var data bytes.Buffer
		if json.Indent(&data, r.Data, "", "  ") == nil {
			fmt.Fprintf(&text, "\n\nData:\n```json\n%s\n```", data.Bytes())
		}
	}
	return text.String()
}

// requestHash returns a hash that is the same for requests that differ only in their key and in the white
// space of their data. Hashes are stored, so a request must keep its JSON: a new field needs omitempty.
func requestHash(r *core.TaskRequest) ([]byte, error) {
	text, err := json.Marshal(struct {
		Title          string          `json:"title"`
		Description    string          `json:"description,omitempty"`
		AgentID        string          `json:"agent_id"`
		Priority       string          `json:"priority,omitempty"`
		Data           json.RawMessage `json:"data,omitempty"`
		FileIDs        []string        `json:"file_ids,omitempty"`
		TimeoutSeconds int64           `json:"timeout_seconds,omitempty"`
		MaxAttempts    int             `json:"max_attempts,omitempty"`
	}{
		r.Title, r.Description, r.AgentID, r.Priority.String(),
		r.Data, r.FileIDs, int64(r.Timeout / time.Second), r.MaxAttempts,
	})
	if err != nil {
		return nil, fmt.Errorf("encode the request of a task: %w", err)
	}
	hash := sha256.Sum256(text)
	return hash[:], nil
}
