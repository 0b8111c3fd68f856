package main

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
)

type checked struct{ t *testing.T }

func (s checked) Send(d llm.Delta) error {
	if !utf8.ValidString(d.Text) || !utf8.ValidString(d.Reasoning) {
		s.t.Errorf("%+v can't be passed on", d)
	}
	if c := d.ToolCall; c != nil && c.Index < 0 {
		s.t.Errorf("%+v has no place", c)
	}
	return nil
}

// Of any stream there is an answer, or an error that says whose fault it is.
func FuzzStream(f *testing.F) {
	for _, s := range []string{
		"data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\ndata: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
		"data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}}]}\r\n\r\ndata: [DONE]",
		": comment\n\nevent: error\ndata: {\"error\":{\"message\":\"no\",\"code\":429}}\n\n", "data: {\"choices\":[{\"delta\":{\"content\":[{\"text\":\"a\"}],\"tool_calls\":[{\"index\":-5}]}}]}\n",
		"data: {\"choices\":5,\"usage\":{\"prompt_tokens\":1e99}}\n", "data: \xff\n\n", "", "data:{\"choices\":[{\"delta\":{\"content\":\"\\ud800\"}}]}\n\n",
	} {
		f.Add([]byte(s))
	}
	p := configured(f, "http://127.0.0.1/v1", nil)
	f.Fuzz(func(t *testing.T, stream []byte) {
		for _, whole := range []bool{false, true} {
			c := p.newCall(context.Background(), time.Minute)
			a := answer{out: checked{t}}
			err := c.readStream(bytes.NewReader(stream), &a)
			if whole {
				err = c.readWhole(bytes.NewReader(stream), &a)
			}
			c.close()
			var e *sdk.Error
			if err != nil && !errors.As(c.failure(err), &e) {
				t.Errorf("%v", err)
			}
			if err == nil && a.finish() == nil {
				t.Error("there is neither an answer nor an error")
			}
		}
	})
}
