package plugintest

import (
	"testing"
)

// Run checks a plugin of whatever kind it says that it is.
func Run(t *testing.T, c Command) {
	t.Helper()
	kind := kindOf(t, c)
	check, ok := map[string]func(*testing.T, Command){"agent": Agent, "files": Files, "llm": LLM, "mcp": MCP}[kind]
	if !ok {
		t.Fatalf("Describe: its kind is %q, but there are agent, files, llm and mcp", kind)
	}
	check(t, c)
}

// kindOf asks a plugin what it is.
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

// subtests runs checks side by side.
func subtests(t *testing.T, checks []subtest) {
	t.Helper()
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t)
		})
	}
}

type subtest struct {
	name string
	run  func(*testing.T)
}

// missing says which part of the script a check wants.
func missing(t *testing.T, name string) {
	t.Helper()
	t.Skipf("not checked: the script has no %s", name)
}
