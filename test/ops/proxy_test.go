package ops_test

import (
	"strings"
	"testing"
)

// docs/operations.md shows the proxy configurations that test/e2e runs.
func TestProxyFilesAreDocumented(t *testing.T) {
	t.Parallel()
	docs := string(read(t, "docs/operations.md"))
	for _, name := range []string{"deploy/nginx.conf", "deploy/Caddyfile"} {
		if !strings.Contains(docs, "\n"+string(read(t, name))+"```\n") {
			t.Errorf("docs/operations.md has no code block with the text of %s: copy it", name)
		}
	}
}

// The proxies that are shown to administrators hide the metrics.
func TestProxiesHideMetrics(t *testing.T) {
	t.Parallel()
	for name, line := range map[string]string{
		"deploy/nginx.conf":          "location = /metrics { return 404; }",
		"deploy/Caddyfile":           "respond /metrics 404",
		"examples/configs/Caddyfile": "respond /metrics 404",
	} {
		if !strings.Contains(string(read(t, name)), "\n"+"    "+line) && !strings.Contains(string(read(t, name)), "\n\t"+line) {
			t.Errorf("%s does not contain %q", name, line)
		}
	}
}
