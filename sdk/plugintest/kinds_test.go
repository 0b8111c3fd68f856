package plugintest_test

import (
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/agentarea/agentarea/sdk/plugintest"
)

var faulty = sync.OnceValues(func() (string, error) { return build("faulty") })

// checks are the checks of the kinds that the program faulty can be.
var checks = map[string]func(*testing.T, plugintest.Command){
	"llm": plugintest.LLM, "agent": plugintest.Agent, "mcp": plugintest.MCP,
}

// TestRun checks correct plugins. TestRun_findsFaults runs it with faults.
func TestRun(t *testing.T) {
	t.Parallel()
	path := program(t, "FAULTY", faulty)
	for kind, check := range checks {
		if only := os.Getenv("KIND"); only != "" && only != kind {
			continue
		}
		if os.Getenv("FAULT") == "" {
			check = plugintest.Run
		}
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			check(t, plugintest.Command{
				Path: path, Env: []string{"KIND=" + kind, "FAULT=" + os.Getenv("FAULT")},
				BadConfig: map[string]any{"size": -1},
				Script: plugintest.Script{
					ToolPrompt: "tool", ParallelToolPrompt: "tools", LimitedPrompt: "limited", SlowPrompt: "slow",
					Server: map[string]any{"address": echo(t)},
				},
			})
		})
	}
}

// echo starts a server that sends back what it receives. It returns the address.
func echo(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
	return l.Addr().String()
}

func TestRun_findsFaults(t *testing.T) {
	t.Parallel()
	path := program(t, "FAULTY", faulty)
	type test struct{ fault, kind, check, words string }
	tests := []test{
		{"late", "llm", "", "did not print its handshake line within"},
		{"late-configure", "llm", "", "Configure: timeout"},
		{"describe", "llm", "Base/StableDescribe", "another process returned"},
		{"refusal", "llm", "Base/BadConfig", "has a path"},
		{"child", "llm", "Base/Lifeline", "still running after"},
		{"models", "llm", "Models", "want unique IDs"},
		{"usage", "llm", "Answer", "want input and output tokens"},
		{"negative-usage", "llm", "Answer", "want input and output tokens"},
		{"absurd-usage", "llm", "Answer", "want at most 1,000,000 tokens"},
		{"cached-usage", "llm", "Answer", "want cached input tokens"},
		{"answer", "llm", "Answer", "has no text"},
		{"after-finish", "llm", "Answer", "sent a response after its finish"},
		{"bytes", "llm", "Unicode", "Send only whole characters"},
		{"halves", "llm", "Unicode", "the replacement character"},
		{"arguments", "llm", "Tools", "not a JSON object"},
		{"no-id", "llm", "Tools", "want an ID that no other call has"},
		{"index", "llm", "Tools", "the tool call index 1000000000, want 0"},
		{"one-call", "llm", "ParallelTools", "1 tool calls"},
		{"same-id", "llm", "ParallelTools", "want an ID that no other call has"},
		{"limited", "llm", "RateLimited", "retryable"},
		{"deaf-answer", "llm", "Cancelled", "has not ended 1 of its calls"},
		{"large", "llm", "Large", "5 MiB"},
		{"leak", "llm", "Leaks", "tasks, such as goroutines"},
		{"agent-schema", "agent", "Schema", "a JSON Schema of an object"},
		{"agent-schema-type", "agent", "Schema", `#/properties/model/type is "sting"`},
		{"halves", "agent", "Answer", "the replacement character"},
		{"drop-call", "agent", "ToolCalls", `the tool call "call-2" has no result`},
		{"drop-both", "agent", "ToolCalls", "no completion contains a result of the tool call call-2"},
		{"no-call-id", "agent", "ToolCalls", "a tool result has no tool_call_id"},
		{"random", "agent", "Replay", "a repeated run"},
		{"mixed", "agent", "OutOfOrder", "ID of another call"},
		{"cancel", "agent", "Cancelled", "did not end"},
		{"error", "agent", "HostFails", "want the error of the host"},
		{"swallow", "agent", "HostFails", "the run succeeded although all completions failed"},
		{"large", "agent", "Large", "too much for me"},
		{"dials", "mcp", "ConfigOffline", "CheckConfig connected to the server"},
		{"starts", "mcp", "ConfigOffline", "CheckConfig started the program"},
		{"ascii", "mcp", "RoundTrip", "want the ID 1 and the params of the request"},
		{"close-hangs", "mcp", "Close", "the connection did not end within"},
		{"open", "mcp", "Leaks", "open files and connections"},
	}
	if os.Getenv("AGENTAREA_TEST_SLOW") == "1" {
		tests = append(
			tests,
			test{"child", "llm", "Base/Stop", "still running after"},
			test{"deaf", "llm", "Base/Lifeline", "did not exit"},
			test{"stop", "llm", "Base/Stop", "Stop: "},
			test{"answer", "llm", "Parallel", "has no text"},
			test{"deaf-answer", "llm", "Leaks", "has not ended 1 of its calls"},
			test{"leak", "agent", "Leaks", "tasks, such as goroutines"},
			test{"leak", "mcp", "Leaks", "tasks, such as goroutines"},
			test{"close-hangs", "mcp", "Leaks", "the connection did not end within"},
		)
	}
	for _, tt := range tests {
		t.Run(tt.fault+" by "+tt.kind+"/"+tt.check, func(t *testing.T) {
			t.Parallel()
			name := strings.TrimSuffix(tt.kind+"/"+tt.check, "/")
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run",
				"^TestRun$/^"+strings.ReplaceAll(name, "/", "$/^")+"$", "-test.v")
			cmd.Env = append(os.Environ(), "FAULT="+tt.fault, "KIND="+tt.kind, "FAULTY="+path)
			if strings.HasPrefix(tt.fault, "late") {
				cmd.Env = append(cmd.Env, "HANDSHAKE_TIME=1s")
			}
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestRun/"+name) ||
				!strings.Contains(string(out), tt.words) || !strings.Contains(string(out), "docs/plugins.md") {
				t.Errorf("the check with the fault %q: error %v, want a failure that contains %q and names docs/plugins.md; "+
					"output:\n%s", tt.fault, err, tt.words, out)
			}
		})
	}
}
