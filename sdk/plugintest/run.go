package plugintest

import (
	"testing"
)

// Run checks a plugin of any kind. It determines the kind with Describe.
func Run(t *testing.T, c Command) {
	t.Helper()
	kind := kindOf(t, c)
	check, ok := map[string]func(*testing.T, Command){"agent": Agent, "files": Files, "llm": LLM, "mcp": MCP}[kind]
	if !ok {
		t.Fatalf("Describe returned the kind %q, want agent, files, llm or mcp", kind)
	}
	check(t, c)
}

// kindOf returns the kind of a plugin.
func kindOf(t *testing.T, c Command) string {
	t.Helper()
	p := launch(t, "any", c)
	defer p.client.Kill()
	d, err := p.Base().Describe(t.Context())
	if err != nil {
		t.Fatalf("Describe: %v", err)
	}
	return d.Kind
}

// subtests runs the checks of a kind as parallel subtests.
func subtests(t *testing.T, kind string, checks []subtest) {
	t.Helper()
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.do(t, kind)
		})
	}
}

// subtest is one check.
type subtest struct {
	name string
	run  func(*testing.T)
}

// do runs the check, and logs its rule if it fails.
func (c *subtest) do(t *testing.T, kind string) {
	t.Helper()
	defer explain(t, kind, c.name) // also after FailNow
	c.run(t)
}

// missing skips a check that needs a field of the script.
func missing(t *testing.T, name string) {
	t.Helper()
	t.Skipf("skipped, because the script has no %s", name)
}
