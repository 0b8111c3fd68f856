package tasks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/agentarea/agentarea/core"
)

// maxData is the maximum size of a task's data in bytes. The data becomes part of the prompt.
const maxData = 256 << 10

// check fails with Invalid if the data is too large.
func check(r *core.TaskRequest) error {
	if len(r.Data) > maxData {
		return core.Invalid("data",
			"Must be at most 256 KiB of JSON, but is %d bytes. Upload a file and pass its id in file_ids.", len(r.Data))
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
