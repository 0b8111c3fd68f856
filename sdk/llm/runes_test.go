package llm_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/agentarea/agentarea/sdk/llm"
)

// A provider that cuts its upstream's bytes anywhere still sends whole characters.
func TestChat_joinsSplitCharacters(t *testing.T) {
	t.Parallel()
	const text, want = "aä€😀\xffz\xf0\x9f", "aä€😀\ufffdz\ufffd"
	p := script(func(_ context.Context, _ *llm.Request, out llm.Stream) (*llm.Finish, error) {
		for _, b := range []byte(text) {
			for _, d := range []llm.Delta{
				{Text: string([]byte{b})},
				{Reasoning: string([]byte{b})},
				{ToolCall: &llm.ToolCallDelta{Index: 3, ID: "", Arguments: string([]byte{b})}},
			} {
				if err := out.Send(d); err != nil {
					return nil, err
				}
			}
		}
		return stop, nil
	})
	for _, stream := range []bool{false, true} {
		t.Run(fmt.Sprint(stream), func(t *testing.T) {
			t.Parallel()
			var got deltas
			if _, err := reach(t, p).Chat(t.Context(), &llm.Request{Stream: stream}, &got); err != nil {
				t.Fatal(err)
			}
			var answer, reasoning, arguments string
			for _, d := range got {
				answer += d.Text
				reasoning += d.Reasoning
				if d.ToolCall != nil {
					arguments += d.ToolCall.Arguments
				}
			}
			if answer != want || reasoning != want || arguments != want {
				t.Errorf("Chat sent text %q, reasoning %q, arguments %q, want %q", answer, reasoning, arguments, want)
			}
		})
	}
}
