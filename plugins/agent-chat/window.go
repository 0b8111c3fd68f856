package main

import (
	"slices"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

// window is the part of a conversation that is sent to the model. It always contains the
// system prompt, the input and the newest round of tool calls, and then the newest messages
// that fit.
type window struct {
	system []sdk.Message
	// history and rounds hold units that are kept or dropped as a whole.
	history []unit
	input   unit
	rounds  []unit
	// budget is the number of tokens for history, input and rounds together.
	budget int64
}

// unit is one message, or an assistant message with tool calls and the results of all of
// them.
type unit struct {
	messages []sdk.Message
	tokens   int64
}

// newWindow returns the window of a run. Its budget is the config's budget without the
// tokens of the system prompt and the tools.
func newWindow(c *config, run *agent.Run, tools []sdk.Tool) *window {
	w := &window{input: unitOf(run.Input), budget: c.budget()}
	if c.SystemPrompt != "" {
		w.system = []sdk.Message{sdk.Text(sdk.RoleSystem, c.SystemPrompt)}
		w.budget -= tokensOf(w.system[0])
	}
	for _, t := range tools {
		w.budget -= tokens(len(t.Name) + len(t.Description) + len(t.Parameters))
	}
	w.history = units(newest(run.History, int(c.HistoryMessages)))
	return w
}

// newest returns the newest n messages, with the tool calls and results among them, which do not count.
func newest(messages []sdk.Message, n int) []sdk.Message {
	for i, m := range slices.Backward(messages) {
		if m.Role == sdk.RoleTool || len(m.ToolCalls) > 0 {
			continue
		}
		if n == 0 {
			return messages[i+1:]
		}
		n--
	}
	return messages
}

// units groups messages into units. It drops results without a call and calls that lack a
// result, because providers reject them.
func units(messages []sdk.Message) []unit {
	var out []unit
	for i := 0; i < len(messages); {
		m := messages[i]
		end := i + 1
		for end < len(messages) && messages[end].Role == sdk.RoleTool {
			end++
		}
		group := slices.Clone(messages[i:end])
		switch {
		case m.Role == sdk.RoleTool:
		case len(m.ToolCalls) == 0:
			out = append(out, unitOf(m))
		case isAnswered(group):
			out = append(out, unitOf(group...))
		}
		i = end
	}
	return out
}

// isAnswered reports whether each tool call of the first message has exactly one result in
// the messages after it.
func isAnswered(messages []sdk.Message) bool {
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

// unitOf returns a unit of the messages with their token count.
func unitOf(messages ...sdk.Message) unit {
	u := unit{messages: messages}
	for _, m := range messages {
		u.tokens += tokensOf(m)
	}
	return u
}

// add appends a round: the model's message with tool calls, and their results in the same
// order.
func (w *window) add(call sdk.Message, results []sdk.ToolResult) {
	messages := []sdk.Message{call}
	for i, r := range results {
		messages = append(messages, sdk.Message{
			Role: sdk.RoleTool, Parts: r.Parts, ToolCallID: call.ToolCalls[i].ID, ToolError: r.IsError,
		})
	}
	w.rounds = append(w.rounds, unitOf(messages...))
}

// messages returns the prompt.
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

// fit returns the newest units that fit the budget. Rounds take precedence over history.
// The returned history never begins with an assistant message, which some providers reject.
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

// halve sets the budget to half of the tokens that the window holds now. It returns false
// and changes nothing when no unit can be dropped.
func (w *window) halve() bool {
	history, rounds := w.fit()
	if len(history) == 0 && len(rounds) <= 1 {
		return false
	}
	tokens := w.input.tokens
	for _, u := range slices.Concat(history, rounds) {
		tokens += u.tokens
	}
	w.budget = tokens / 2
	return true
}

// imageTokens is roughly the number of tokens that providers count for a large image.
const imageTokens = 1_500

const (
	// fileBytes is the number of bytes of a text file that the host puts into a prompt.
	fileBytes = 100_000
	// noteTokens is roughly the size of the host's description of a file, with or without
	// its content.
	noteTokens = 40
)

// tokensOf estimates the tokens of a message: one for every four bytes, and a few for its
// framing.
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

// fileTokens estimates the number of tokens that a file adds to a prompt. The host inserts the
// content of a file in user messages, and only its name in other messages.
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

// tokens estimates the tokens of a text of the given length, rounded up.
func tokens(bytes int) int64 { return int64(bytes+3) / 4 }
