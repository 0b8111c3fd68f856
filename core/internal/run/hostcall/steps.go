package hostcall

import (
	"fmt"
	"slices"
	"sync"

	"github.com/agentarea/agentarea/sdk"
)

// The limits of the tool calls that a session keeps of one turn, in bytes.
const (
	maxStepResult = 64 << 10
	maxSteps      = 512 << 10
)

// Steps holds the tool calls of a run and their results. It takes them from the messages of the newest completion
// that contains any. Its methods may be called concurrently.
type Steps struct {
	input sdk.Message

	mu       sync.Mutex
	number   uint64
	messages []sdk.Message
}

// NewSteps returns the Steps of a run with the given input.
func NewSteps(input sdk.Message) *Steps { return &Steps{input: input} }

// observe takes the tool calls from the messages of the completion with the given number. They are the ones
// after the input of the run, or after the newest message of the user if the agent type has changed the input.
func (s *Steps) observe(number uint64, messages []sdk.Message) {
	var found []sdk.Message
	for _, m := range messages[s.start(messages):] {
		if m.Role == sdk.RoleTool || len(m.ToolCalls) > 0 {
			found = append(found, m)
		}
	}
	if len(found) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if number >= s.number {
		s.number, s.messages = number, found
	}
}

// start returns the index of the first message after the input.
func (s *Steps) start(messages []sdk.Message) int {
	for i, m := range slices.Backward(messages) {
		if m.Role == sdk.RoleUser && slices.EqualFunc(m.Parts, s.input.Parts, sameContent) {
			return i + 1
		}
	}
	return newestInput(messages) + 1
}

func sameContent(a, b sdk.Part) bool {
	if (a.File == nil) != (b.File == nil) || a.File != nil && a.File.ID != b.File.ID {
		return false
	}
	return a.Text == b.Text && (a.Blob == nil) == (b.Blob == nil)
}

// Messages returns the tool calls and results as the session keeps them: long results are shortened, binary
// content is replaced by a note, and what exceeds maxSteps has no content.
func (s *Steps) Messages() []sdk.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := normalize(s.messages)
	remaining := maxSteps
	for i := range slices.Backward(out) {
		out[i].Parts = shorten(out[i].Parts)
		size := sizeOf(out[i : i+1])
		if size > remaining {
			omitContent(&out[i])
			continue
		}
		remaining -= size
	}
	return out
}

// shorten returns parts with notes in place of files and binary content. It truncates the texts to maxStepResult
// bytes in total.
func shorten(parts []sdk.Part) []sdk.Part {
	parts = slices.Clone(parts)
	remaining := maxStepResult
	for i, p := range parts {
		switch {
		case p.Blob != nil:
			parts[i] = sdk.Part{Text: fmt.Sprintf("[%s, %d bytes]", blobName(p.Blob), len(p.Blob.Data))}
			continue
		case p.File != nil:
			parts[i] = note(p.File, "")
			continue
		}
		if len(p.Text) > remaining {
			cut := trimPartialRune([]byte(p.Text[:remaining]))
			parts[i].Text = fmt.Sprintf("%s\n[truncated after %d of %d bytes]", cut, len(cut), len(p.Text))
			remaining = 0
			continue
		}
		remaining -= len(p.Text)
	}
	return parts
}

// omitContent removes the result or the arguments of m.
func omitContent(m *sdk.Message) {
	if m.Role == sdk.RoleTool {
		m.Parts = []sdk.Part{{Text: "[The result is too large for the history of the session.]"}}
		return
	}
	m.Parts = nil
	m.ToolCalls = slices.Clone(m.ToolCalls)
	for i := range m.ToolCalls {
		m.ToolCalls[i].Arguments = "{}"
	}
}
