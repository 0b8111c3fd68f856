package hostcall

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agentarea/agentarea/sdk"
)

// missingResult is the result of a tool call that has none, for example because its turn was cancelled.
const missingResult = "The call has no result, because its turn ended first."

// normalize returns messages in a form that each provider accepts, whatever earlier turns left behind: no
// message is empty, neighbouring messages of the user or of the model are one message, and each tool call is
// followed by one result. A result without a call is left out.
func normalize(messages []sdk.Message) []sdk.Message {
	out := make([]sdk.Message, 0, len(messages))
	var open []string // the IDs of the preceding calls that have no result yet
	for _, m := range messages {
		if m.Role == sdk.RoleTool {
			if i := slices.Index(open, m.ToolCallID); i >= 0 {
				open = slices.Delete(open, i, i+1)
				out = append(out, m)
			}
			continue
		}
		if isEmpty(m) {
			continue
		}
		out, open = addMissingResults(out, open), nil
		if last := len(out) - 1; last >= 0 && canMerge(out[last], m) {
			out[last] = merge(out[last], m)
		} else {
			out = append(out, m)
		}
		for _, c := range m.ToolCalls {
			open = append(open, c.ID)
		}
	}
	return addMissingResults(out, open)
}

// isEmpty reports whether m has neither content nor tool calls. White space does not count as content.
func isEmpty(m sdk.Message) bool {
	return len(m.ToolCalls) == 0 && !slices.ContainsFunc(m.Parts, func(p sdk.Part) bool {
		return p.Blob != nil || p.File != nil || strings.TrimSpace(p.Text) != ""
	})
}

// addMissingResults returns messages with a result for each call that has none. calls are the IDs of these calls.
func addMissingResults(messages []sdk.Message, calls []string) []sdk.Message {
	for _, id := range calls {
		m := sdk.Text(sdk.RoleTool, missingResult)
		m.ToolCallID, m.ToolError = id, true
		messages = append(messages, m)
	}
	return messages
}

// canMerge reports whether b, which follows a, can be part of the same message.
func canMerge(a, b sdk.Message) bool {
	return a.Role == b.Role && a.Role != sdk.RoleSystem && len(a.ToolCalls) == 0
}

// merge returns one message with the content of both, with an empty line between their texts.
func merge(a, b sdk.Message) sdk.Message {
	b.Parts = slices.Clone(b.Parts)
	if len(a.Parts) > 0 && len(b.Parts) > 0 && a.Parts[len(a.Parts)-1].Text != "" && b.Parts[0].Text != "" {
		b.Parts[0].Text = "\n\n" + b.Parts[0].Text
	}
	b.Parts = append(slices.Clone(a.Parts), b.Parts...)
	return b
}

// withoutEarlierBlobs returns messages with a note in place of each attachment, except those of the newest
// message of the user. replaced reports whether there was one.
func withoutEarlierBlobs(messages []sdk.Message) (out []sdk.Message, replaced bool) {
	out = slices.Clone(messages)
	input := newestInput(messages)
	for i, m := range out {
		if i == input || !slices.ContainsFunc(m.Parts, hasBlob) {
			continue
		}
		out[i].Parts = slices.Clone(m.Parts)
		for j, p := range out[i].Parts {
			if hasBlob(p) {
				text := fmt.Sprintf("\n[%s: omitted because the model did not accept it]\n", blobName(p.Blob))
				out[i].Parts[j] = sdk.Part{Text: text}
				replaced = true
			}
		}
	}
	return out, replaced
}

// newestInput returns the index of the newest message of the user, or -1.
func newestInput(messages []sdk.Message) int {
	for i, m := range slices.Backward(messages) {
		if m.Role == sdk.RoleUser {
			return i
		}
	}
	return -1
}

func hasBlob(p sdk.Part) bool { return p.Blob != nil }

// blobName returns the name of an attachment as the model sees it, or its type if it has no name.
func blobName(b *sdk.Blob) string {
	if b.Name != "" {
		return "file " + b.Name
	}
	return "file of type " + b.MediaType
}

// inputBlobs returns the names of the attachments of the newest message of the user, or "".
func inputBlobs(messages []sdk.Message) string {
	var names []string
	if i := newestInput(messages); i >= 0 {
		for _, p := range messages[i].Parts {
			if hasBlob(p) {
				names = append(names, blobName(p.Blob))
			}
		}
	}
	return strings.Join(names, ", ")
}
