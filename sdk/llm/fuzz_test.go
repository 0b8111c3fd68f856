package llm

import (
	"testing"
	"unicode/utf8"

	llmv1 "github.com/agentarea/agentarea/sdk/proto/llm/v1"
)

// FuzzSplitText checks that a text which a provider sends in pieces, cut anywhere, arrives as valid UTF-8, and
// unchanged if it is valid.
func FuzzSplitText(f *testing.F) {
	f.Add("aä€😀", []byte{1, 1, 1, 1, 1, 1})
	f.Add("a\xff\xf4", []byte{2})
	f.Add("", []byte{})
	f.Fuzz(func(t *testing.T, text string, lengths []byte) {
		var joiner runeJoiner
		var sent []*llmv1.Delta
		rest := text
		for _, n := range lengths {
			piece := rest[:min(int(n), len(rest))]
			rest = rest[len(piece):]
			sent = appendDelta(sent, joiner.join(Delta{Text: piece}))
		}
		sent = appendDelta(sent, joiner.join(Delta{Text: rest}))
		for _, d := range joiner.rest() {
			sent = appendDelta(sent, d)
		}
		got := ""
		for _, d := range sent {
			if !utf8.ValidString(d.GetText()) || d.GetText() == "" {
				t.Errorf("the text %q in pieces of %v is sent with %q", text, lengths, d.GetText())
			}
			got += d.GetText()
		}
		if utf8.ValidString(text) && got != text {
			t.Errorf("the text %q in pieces of %v arrives as %q", text, lengths, got)
		}
	})
}
