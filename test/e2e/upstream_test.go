package e2e_test

import (
	"fmt"
	"testing"

	"github.com/agentarea/agentarea/test/openaitest"
)

// upstream starts a fake OpenAI server that runs until the test ends, and returns its base URL.
func upstream(t *testing.T, o openaitest.Options) string {
	t.Helper()
	s := openaitest.New(o)
	base, err := s.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return base
}

// pluginsHCL returns a plugins.hcl with llm-echo, and llm-openai with the base URL base.
func pluginsHCL(base string) string {
	return fmt.Sprintf(`
plugin "llm" "echo" {
  command = "llm-echo"
}

plugin "llm" "openai" {
  command = "llm-openai"
  models  = ["gpt-*"]
  config {
    base_url = %q
    api_key  = "sk-of-the-test"
  }
}

plugin "agent" "chat" {
  command = "agent-chat"
}
`, base)
}
