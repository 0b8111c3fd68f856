package plugintest_test

import (
	"os"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/sdk/plugintest"
)

// The table of checks in docs/plugins.md is what a failed check refers to.
func TestRules_areDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/plugins.md")
	if err != nil {
		t.Skipf("this copy of the SDK has no docs: %v", err)
	}
	if want := strings.Join(plugintest.Rules(), "\n"); !strings.Contains(string(text), want) {
		t.Errorf("docs/plugins.md does not contain the table of checks; replace its rows by\n%s", want)
	}
}
