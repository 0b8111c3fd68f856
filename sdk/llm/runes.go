package llm

import "unicode/utf8"

// runeJoiner joins characters that a provider has split between two deltas: a delta must be valid UTF-8.
// It keeps the incomplete character at the end of a delta until the next delta of the same kind.
type runeJoiner struct {
	text, reasoning string
	// arguments has the incomplete characters of tool calls by their index.
	arguments map[int]string
}

// join returns d with the bytes that were kept, and without an incomplete character at its end.
func (j *runeJoiner) join(d Delta) Delta {
	d.Text = joinRune(&j.text, d.Text)
	d.Reasoning = joinRune(&j.reasoning, d.Reasoning)
	if d.ToolCall == nil {
		return d
	}
	t := *d.ToolCall
	kept := j.arguments[t.Index]
	t.Arguments = joinRune(&kept, t.Arguments)
	switch {
	case kept == "":
		delete(j.arguments, t.Index)
	case j.arguments == nil:
		j.arguments = map[int]string{t.Index: kept}
	default:
		j.arguments[t.Index] = kept
	}
	d.ToolCall = &t
	return d
}

// rest returns the incomplete characters with which the answer ended.
func (j *runeJoiner) rest() []Delta {
	var rest []Delta
	if j.text != "" {
		rest = append(rest, Delta{Text: j.text})
	}
	if j.reasoning != "" {
		rest = append(rest, Delta{Reasoning: j.reasoning})
	}
	for index, kept := range j.arguments {
		rest = append(rest, Delta{ToolCall: &ToolCallDelta{Index: index, Arguments: kept}})
	}
	*j = runeJoiner{}
	return rest
}

// joinRune returns kept and text without the incomplete character at the end, which it stores in kept.
func joinRune(kept *string, text string) string {
	if text == "" {
		return ""
	}
	if *kept != "" {
		text = *kept + text
	}
	n := len(text) - incomplete(text)
	*kept = text[n:]
	return text[:n]
}

// incomplete returns the length of the incomplete character at the end of text, or 0.
func incomplete(text string) int {
	for n := 1; n <= min(len(text), utf8.UTFMax-1); n++ {
		if tail := text[len(text)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRuneInString(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}
