package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
)

// checkingStream fails the test for a delta that cannot be sent to the host. A delta of a server that sends invalid
// UTF-8, or splits a character, may be invalid: package llm joins and repairs it, which FuzzSplitText checks there.
type checkingStream struct {
	t *testing.T
	// valid reports whether the server sends valid UTF-8.
	valid bool
}

func (s checkingStream) Send(d llm.Delta) error {
	if s.valid && (!utf8.ValidString(d.Text) || !utf8.ValidString(d.Reasoning)) {
		s.t.Errorf("delta %+v is not valid UTF-8", d)
	}
	if d == (llm.Delta{}) {
		s.t.Error("got an empty delta")
	}
	if c := d.ToolCall; c != nil && c.Index < 0 {
		s.t.Errorf("tool call %+v has a negative index", c)
	}
	return nil
}

// FuzzStream checks that every stream ends in an answer or an *sdk.Error.
func FuzzStream(f *testing.F) {
	for _, s := range []string{
		"data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\ndata: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
		"data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}}]}\r\n\r\ndata: [DONE]",
		": comment\n\nevent: error\ndata: {\"error\":{\"message\":\"no\",\"code\":429}}\n\n",
		"data: {\"choices\":[{\"delta\":{\"content\":[{\"text\":\"a\"}],\"tool_calls\":[{\"index\":-5}]}}]}\n",
		"data: {\"choices\":5,\"usage\":{\"prompt_tokens\":1e99}}\n", "data: \xff\n\n",
		"", "data:{\"choices\":[{\"delta\":{\"content\":\"\\ud800\"}}]}\n\n",
		"{\"choices\":[{\"delta\":{\"content\":\"\xf4\"}}]}",
	} {
		f.Add([]byte(s))
	}
	p := configured(f, "http://127.0.0.1/v1", nil)
	f.Fuzz(func(t *testing.T, stream []byte) {
		for _, complete := range []bool{false, true} {
			c := p.newCall(context.Background(), time.Minute)
			a := answer{out: checkingStream{t, utf8.Valid(stream)}}
			err := c.readStream(bufio.NewReader(bytes.NewReader(stream)), &a)
			if complete {
				err = c.readComplete(bytes.NewReader(stream), &a)
			}
			c.close()
			var e *sdk.Error
			if err != nil && !errors.As(c.wrapProviderError(err), &e) {
				t.Errorf("wrapProviderError() = %v, want an *sdk.Error", err)
			}
			if err == nil && a.finish() == nil {
				t.Error("got neither an answer nor an error")
			}
		}
	})
}
