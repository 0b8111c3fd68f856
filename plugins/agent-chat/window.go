package main

import (
	"slices"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

// window is the part of a conversation that the model is given. It always has
// the system prompt, the input and the newest round of tools; of the rest, the
// newest that fit.
type window struct {
	system []sdk.Message
	// history and rounds are units that are kept or left out whole: a message, or
	// an assistant's calls with their results.
	history []unit
	input   unit
	rounds  []unit
	// budget is for history, input and rounds, in tokens.
	budget int64
}

type unit struct {
	messages []sdk.Message
	tokens   int64
}

func newWindow(c *config, run *agent.Run, tools []sdk.Tool) *window {
	w := &window{input: unitOf(run.Input), budget: c.budget()}
	if c.SystemPrompt != "" {
		w.system = []sdk.Message{sdk.Text(sdk.RoleSystem, c.SystemPrompt)}
		w.budget -= tokensOf(w.system[0])
	}
	for _, t := range tools {
		w.budget -= tokens(len(t.Name) + len(t.Description) + len(t.Parameters))
	}
	history := run.History
	if n := len(history) - int(c.HistoryMessages); n > 0 {
		history = history[n:]
	}
	w.history = units(history)
	return w
}

// units joins calls with their results. Results without calls, and calls
// without all of their results, are left out: providers refuse them.
func units(messages []sdk.Message) []unit {
	var out []unit
	for i := 0; i < len(messages); {
		m := messages[i]
		end := i + 1
		for end < len(messages) && messages[end].Role == sdk.RoleTool {
			end++
		}
		whole := slices.Clone(messages[i:end])
		switch {
		case m.Role == sdk.RoleTool:
		case len(m.ToolCalls) == 0:
			out = append(out, unitOf(m))
		case answered(whole):
			out = append(out, unitOf(whole...))
		}
		i = end
	}
	return out
}

// answered says whether each call has one result.
func answered(messages []sdk.Message) bool {
	open := map[string]bool{}
	for _, c := range messages[0].ToolCalls {
		open[c.ID] = true
	}
	for _, m := range messages[1:] {
		if !open[m.ToolCallID] {
			return false
		}
		delete(open, m.ToolCallID)
	}
	return len(open) == 0
}

func unitOf(messages ...sdk.Message) unit {
	u := unit{messages: messages}
	for _, m := range messages {
		u.tokens += tokensOf(m)
	}
	return u
}

// add appends a round: what the model wanted and what the tools gave.
func (w *window) add(wanted sdk.Message, results []sdk.ToolResult) {
	messages := []sdk.Message{wanted}
	for i, r := range results {
		messages = append(messages, sdk.Message{
			Role: sdk.RoleTool, Parts: r.Parts, ToolCallID: wanted.ToolCalls[i].ID, ToolError: r.IsError,
		})
	}
	w.rounds = append(w.rounds, unitOf(messages...))
}

// messages is the prompt.
func (w *window) messages() []sdk.Message {
	history, rounds := w.fit()
	out := slices.Clone(w.system)
	for _, u := range history {
		out = append(out, u.messages...)
	}
	out = append(out, w.input.messages...)
	for _, u := range rounds {
		out = append(out, u.messages...)
	}
	return out
}

// fit picks the newest units: rounds before history, and no history that
// begins with an answer, which some providers refuse.
func (w *window) fit() (history, rounds []unit) {
	left := w.budget - w.input.tokens
	rounds = w.rounds
	first := len(rounds)
	for first > 0 && (first == len(rounds) || rounds[first-1].tokens <= left) {
		first--
		left -= rounds[first].tokens
	}
	if first > 0 {
		return nil, rounds[first:]
	}
	first = len(w.history)
	for first > 0 && w.history[first-1].tokens <= left {
		first--
		left -= w.history[first].tokens
	}
	for first < len(w.history) && w.history[first].messages[0].Role == sdk.RoleAssistant {
		first++
	}
	return w.history[first:], rounds
}

// halve makes the budget half of what the window holds now. It is false, and
// nothing changes, when nothing can be left out.
func (w *window) halve() bool {
	history, rounds := w.fit()
	if len(history) == 0 && len(rounds) <= 1 {
		return false
	}
	held := w.input.tokens
	for _, u := range slices.Concat(history, rounds) {
		held += u.tokens
	}
	w.budget = held / 2
	return true
}

// imageTokens is about what providers count for a large image.
const imageTokens = 1_500

const (
	// fileBytes is how much of a text file the host puts in a prompt.
	fileBytes = 100_000
	// noteTokens is about what the host says of a file, with its content or without.
	noteTokens = 40
)

// tokensOf estimates a message: four bytes a token, and some for its frame.
func tokensOf(m sdk.Message) int64 {
	const frame = 4
	n, bytes := int64(frame), 0
	for _, p := range m.Parts {
		bytes += len(p.Text)
		if p.Blob != nil {
			n += imageTokens
		}
		if p.File != nil {
			n += fileTokens(m.Role, p.File)
		}
	}
	for _, c := range m.ToolCalls {
		bytes += len(c.ID) + len(c.Name) + len(c.Arguments)
	}
	return n + tokens(bytes)
}

// fileTokens estimates what the host puts in a file's place: its content in what
// a user says, and else its name.
func fileTokens(role sdk.Role, f *sdk.File) int64 {
	switch {
	case role == sdk.RoleAssistant || role == sdk.RoleTool:
		return noteTokens
	case f.IsText():
		return noteTokens + tokens(int(min(f.Size, fileBytes)))
	case f.IsImage():
		return imageTokens
	}
	return noteTokens
}

func tokens(bytes int) int64 { return int64(bytes+3) / 4 }
