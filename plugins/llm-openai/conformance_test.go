package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/sdk/plugintest"
	"github.com/agentarea/agentarea/test/openaitest"
	"github.com/agentarea/agentarea/test/testenv"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	binary := testenv.Binary(t, "llm-openai")
	server := openaitest.New(openaitest.Options{Key: key, Answer: scripted})
	url, err := server.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	plugintest.LLM(t, plugintest.Command{
		Path: binary, Config: map[string]any{"base_url": url, "api_key": key},
		Script: plugintest.Script{
			Model: "gpt-4o", UnicodePrompt: "unicode", ToolPrompt: "tool", ParallelToolPrompt: "tools",
			LimitedPrompt: "limited", SlowPrompt: "slow",
		},
	})
}

// scripted answers the prompts of the conformance suite.
func scripted(r *openaitest.Request) openaitest.Reply {
	add := openaitest.ToolCall{ID: "call_1", Name: "plugintest_add", Arguments: `{"a": 2, "b": 3}`}
	switch last := r.Messages[len(r.Messages)-1]; {
	case last.Role == "tool":
		return openaitest.Reply{Content: "It is 5."}
	case last.Text() == "tool":
		return openaitest.Reply{ToolCalls: []openaitest.ToolCall{add}}
	case last.Text() == "tools":
		second := openaitest.ToolCall{ID: "call_2", Name: add.Name, Arguments: `{"a": 4, "b": 5}`}
		return openaitest.Reply{ToolCalls: []openaitest.ToolCall{add, second}}
	case last.Text() == "unicode":
		return openaitest.Reply{Content: "Grüße, 世界, 😀 👩🏽‍🚀."}
	case last.Text() == "limited":
		return openaitest.Reply{
			Status: http.StatusTooManyRequests,
			Error:  &openaitest.Error{Message: "slow down", Type: "requests", Code: "rate_limit_exceeded"},
		}
	case last.Text() == "slow":
		return openaitest.Reply{Content: strings.Repeat("word ", 100), Delay: 100 * time.Millisecond}
	}
	return openaitest.Reply{Content: "Hello there."}
}
