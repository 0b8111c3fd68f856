package telemetry

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/agentarea/agentarea/test/testenv"
)

var (
	rulesFile     = filepath.Join("..", "..", "..", "deploy", "prometheus", "agentarea.rules.yml")
	dashboardFile = filepath.Join("..", "..", "..", "deploy", "grafana", "agentarea.json")
)

// dashboard is a dashboard of Grafana, with the fields that refer to metrics.
type dashboard struct {
	UID    string
	Panels []struct {
		Title   string
		Targets []struct{ Expr, LegendFormat string }
	}
	Templating struct{ List []struct{ Query any } }
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	data, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(data, &d); err != nil {
		t.Fatalf("%s: %v", dashboardFile, err)
	}
	return d
}

// metricLabels returns the labels of each metric of the server, with those that Prometheus adds. A histogram has the
// names of its series.
func metricLabels(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{"up": {"job", "instance"}}
	descs := make(chan *prometheus.Desc)
	go func() {
		newMetrics(nil).registry.Describe(descs)
		close(descs)
	}()
	histogram := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| histogram")
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "telemetry.md"))
	if err != nil {
		t.Fatal(err)
	}
	histograms := map[string]bool{}
	for _, found := range histogram.FindAllStringSubmatch(string(page), -1) {
		histograms[found[1]] = true
	}
	for d := range descs {
		found := described.FindStringSubmatch(d.String())
		name, labels := found[1], append(sorted(found[2]), "job", "instance")
		if !histograms[name] {
			all[name] = labels
			continue
		}
		all[name+"_sum"], all[name+"_count"] = labels, labels
		all[name+"_bucket"] = append(slices.Clone(labels), "le")
	}
	return all
}

var (
	grouping = regexp.MustCompile(`\b(?:by|on|without|label_values)\s*\(([^()]*)\)`)
	selector = regexp.MustCompile(`\b((?:up|http_server|gen_ai|agentarea|process|go)(?:_[a-z_]+)?)\b\s*(\{[^}]*\})?`)
	matcher  = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)\s*"`)
	legend   = regexp.MustCompile(`\{\{\s*(?:\$labels\.)?([a-z_]+)\s*\}\}`)
	word     = regexp.MustCompile(`[a-z_]+`)
)

// unknownNames returns the metrics and labels of a PromQL expression that no metric of it has. text has the
// expression's legend or annotations, with labels in braces.
func unknownNames(all map[string][]string, expr, text string) (unknown []string) {
	allowed := map[string]bool{}
	rest := grouping.ReplaceAllString(expr, " ")
	for _, found := range selector.FindAllStringSubmatch(rest, -1) {
		labels, ok := all[found[1]]
		if !ok {
			unknown = append(unknown, found[1])
		}
		for _, l := range labels {
			allowed[l] = true
		}
		for _, m := range matcher.FindAllStringSubmatch(found[2], -1) {
			if !slices.Contains(labels, m[1]) {
				unknown = append(unknown, found[1]+"{"+m[1]+"}")
			}
		}
	}
	for _, found := range grouping.FindAllStringSubmatch(expr, -1) {
		for _, l := range word.FindAllString(found[1], -1) {
			if !allowed[l] {
				unknown = append(unknown, "by ("+l+")")
			}
		}
	}
	for _, found := range legend.FindAllStringSubmatch(text, -1) {
		if !allowed[found[1]] {
			unknown = append(unknown, "{{"+found[1]+"}}")
		}
	}
	return unknown
}

func TestUnknownNames(t *testing.T) {
	t.Parallel()
	all := map[string][]string{"agentarea_a_total": {"kind", "job"}, "go_b_bucket": {"le", "job"}}
	for _, tt := range []struct {
		expr, text string
		want       []string
	}{
		{`sum by (kind) (rate(agentarea_a_total{kind="x", job=~"$job"}[5m]))`, "{{kind}} and {{ $labels.job }}", nil},
		{`histogram_quantile(0.9, sum by (le) (rate(go_b_bucket[5m])))`, "", nil},
		{`agentarea_gone > 1`, "", []string{"agentarea_gone"}},
		{`agentarea_a_total{label="x"}`, "", []string{"agentarea_a_total{label}"}},
		{`sum by (model) (agentarea_a_total)`, "{{model}}", []string{"by (model)", "{{model}}"}},
	} {
		if got := unknownNames(all, tt.expr, tt.text); !slices.Equal(got, tt.want) {
			t.Errorf("unknownNames(%q, %q) = %q, want %q", tt.expr, tt.text, got, tt.want)
		}
	}
}

// ruleEntry matches a rule of rulesFile: its name, its expression, and the rest of it.
var ruleEntry = regexp.MustCompile(`(?ms)^      - alert: (\w+)\n(?:        #[^\n]*\n)*        expr: (.*?)\n((?:        (?:for|labels|annotations):.*?)(?:\n\n|\z))`)

// The alert rules and the dashboard use only metrics and labels that the server has.
func TestMonitoring_usesExistingMetrics(t *testing.T) {
	t.Parallel()
	all := metricLabels(t)
	rules, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	entries := ruleEntry.FindAllStringSubmatch(string(rules), -1)
	if n := strings.Count(string(rules), "- alert: "); n != len(entries) || n == 0 {
		t.Fatalf("parsed %d of %d alert rules", len(entries), n)
	}
	for _, e := range entries {
		if unknown := unknownNames(all, e[2], e[3]); unknown != nil {
			t.Errorf("%s: alert %s uses unknown metrics or labels: %q", rulesFile, e[1], unknown)
		}
		if !strings.Contains(string(page), "`"+e[1]+"`") {
			t.Errorf("docs/operations.md does not mention the alert %s", e[1])
		}
	}
	for _, p := range readDashboard(t).Panels {
		for _, target := range p.Targets {
			if unknown := unknownNames(all, target.Expr, target.LegendFormat); unknown != nil {
				t.Errorf("%s: panel %q uses unknown metrics or labels: %q", dashboardFile, p.Title, unknown)
			}
		}
	}
}

// Prometheus accepts the rules and the dashboard's expressions, and the rules fire when they should.
func TestMonitoring_promtool(t *testing.T) {
	t.Parallel()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		testenv.Missing(t, "promtool (Debian's package prometheus)", err)
	}
	type rule struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	var rules []rule
	for _, p := range readDashboard(t).Panels {
		for _, target := range p.Targets {
			expr := strings.ReplaceAll(target.Expr, "$__rate_interval", "5m")
			rules = append(rules, rule{"dashboard:expression", expr})
		}
	}
	// Rules are YAML, which includes JSON.
	expressions, err := json.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	expressionsFile := filepath.Join(t.TempDir(), "expressions.yml")
	if err := os.WriteFile(expressionsFile, expressions, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"check", "rules", rulesFile},
		{"check", "rules", "--lint=none", expressionsFile},
		{"test", "rules", filepath.Join("testdata", "alerts_test.yml")},
	} {
		if out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
