package gateway

import (
	"context"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/test/mcptest"
	"github.com/agentarea/agentarea/test/testenv"
)

// scenarioLine matches one line of the summary of a suite.
var scenarioLine = regexp.MustCompile(`(?m)^\s*[✓✗] ([\w-]+): (\d+) passed, (\d+) failed`)

// TestConformance runs the official MCP conformance suites through the gateway against the
// conformance server of the Go SDK. passed is the number of checks that this server passes
// without the gateway, or one more.
func TestConformance(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	for _, suite := range []struct {
		name, script string
		args         []string
		passed       int
	}{
		{"0.1.16", "conformance-0.1", nil, 40},
		{"0.2 of 2025-11-25", "conformance-0.2", []string{"--requirements", "2025-11-25"}, 82},
		{"0.2 of 2026-07-28", "conformance-0.2", []string{"--requirements", "2026-07-28"}, 164}, // 165, but the suite skips one check of server-stateless on a busy machine
	} {
		t.Run(suite.name, func(t *testing.T) {
			t.Parallel()
			server := mcptest.EverythingServer(t)
			r := newEnv(t, map[string]func() (Conn, error){"everything": func() (Conn, error) { return startProgram(server) }})
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			args := append([]string{
				mcptest.PackageScript(t, suite.script), "server", "--url",
				r.withToken(t, "ada") + "/mcp/everything/mcp", "-o", t.TempDir(),
			}, suite.args...)
			out, err := exec.CommandContext(ctx, mcptest.Node(t), args...).CombinedOutput()
			passed := 0
			for _, m := range scenarioLine.FindAllStringSubmatch(string(out), -1) {
				p, _ := strconv.Atoi(m[2])
				f, _ := strconv.Atoi(m[3])
				passed += p
				if f > 0 && !strings.HasPrefix(m[1], "tasks-") {
					t.Errorf("%s: got %d failed checks, want 0", m[1], f)
				}
			}
			t.Logf("%d checks passed (exit: %v)", passed, err)
			if passed < suite.passed || t.Failed() {
				t.Errorf("got %d passed checks, want %d\n%s", passed, suite.passed, tail(string(out)))
			}
		})
	}
}

// tail returns the last 6000 bytes of s.
func tail(s string) string { return s[max(0, len(s)-6000):] }
