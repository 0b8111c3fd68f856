package main

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
	"github.com/agentarea/agentarea/sdk/plugintest"
)

func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "llm-rot13")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return binary
}

// The provider supports no tools, has no rate limit and is never slow. The suite skips those
// checks.
func TestConformance(t *testing.T) {
	t.Parallel()
	plugintest.LLM(t, plugintest.Command{Path: build(t)})
}

type text string

func (s *text) Send(d llm.Delta) error {
	*s += text(d.Text)
	return nil
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	p := llm.NewClient(plugintest.Start(t, "llm",
		plugintest.Command{Path: build(t), Config: map[string]any{"greeting": "> "}}).Conn)
	var got text
	_, err := p.Chat(t.Context(),
		&llm.Request{Model: "rot13", Messages: []sdk.Message{sdk.Text(sdk.RoleUser, "Hello, World 5!")}}, &got)
	if err != nil || got != "> Uryyb, Jbeyq 5!" {
		t.Errorf("got %q, %v", got, err)
	}
}
