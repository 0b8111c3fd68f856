package telemetry

import (
	"context"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

func newMetrics(backlog func(context.Context, time.Time) ([]core.TaskBacklog, error)) *Metrics {
	m := NewMetrics("1.2.3")
	m.Watch(States{
		Plugins:    func() []core.Plugin { return nil },
		MCPServers: func() map[core.MCPStatus]int { return map[core.MCPStatus]int{core.MCPError: 2} },
		Backlog:    backlog,
	})
	return m
}

var (
	described = regexp.MustCompile(`fqName: "([^"]+)".*variableLabels: \{([^}]*)\}`)
	row       = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (?:histogram|gauge|counter)[^|]* \\| ([^|]*)\\|")
)

// docs/telemetry.md lists exactly the metrics of the server with their labels.
func TestMetrics_documented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "telemetry.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string][]string{}
	for _, found := range row.FindAllStringSubmatch(string(page), -1) {
		documented[found[1]] = sorted(strings.ReplaceAll(found[2], "`", ""))
	}
	descs := make(chan *prometheus.Desc)
	go func() {
		newMetrics(nil).registry.Describe(descs)
		close(descs)
	}()
	have := map[string]bool{}
	for d := range descs {
		found := described.FindStringSubmatch(d.String())
		if found == nil {
			t.Fatalf("cannot parse the description %s", d)
		}
		name := found[1]
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
			continue
		}
		have[name] = true
		labels, ok := documented[name]
		if !ok {
			t.Errorf("docs/telemetry.md has no row for %s", name)
		} else if want := sorted(found[2]); !slices.Equal(labels, want) {
			t.Errorf("%s: docs/telemetry.md lists the labels %v, want %v", name, labels, want)
		}
	}
	for name := range documented {
		if !have[name] {
			t.Errorf("docs/telemetry.md lists %s, which does not exist", name)
		}
	}
}

func sorted(list string) []string {
	labels := strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
	slices.Sort(labels)
	return labels
}

func read(m *Metrics) string {
	w := httptest.NewRecorder()
	m.Handler("").ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

// Names from users and clients create a bounded number of series.
func TestMetrics_boundedLabels(t *testing.T) {
	t.Parallel()
	m := newMetrics(func(context.Context, time.Time) ([]core.TaskBacklog, error) { return nil, nil })
	h := NewHTTP(m, off(t))
	for i := range 3 * maxModels {
		name := "model-" + strings.Repeat("x", i)
		m.Completion("echo", name, time.Second, 0, sdk.Usage{}, "")
		m.Completion("echo", "bad-"+name, time.Second, 0, sdk.Usage{}, sdk.ErrorCode("made-up-"+name))
		r := httptest.NewRequest("GET", "/nothing/"+name, nil)
		r.Method = "M" + name
		_, done := h.Request(r, "req-1")
		done("", 404)
	}
	text := read(m)
	if n := strings.Count(text, "gen_ai_client_operation_duration_seconds_count{"); n != maxModels+2 {
		t.Errorf("%d series of completions, want %d", n, maxModels+2)
	}
	if n := strings.Count(text, "http_server_request_duration_seconds_count{"); n != 1 {
		t.Errorf("%d series of requests, want 1", n)
	}
	for _, bad := range []string{"made-up", "nothing", "bad-"} {
		if strings.Contains(text, bad) {
			t.Errorf("a label contains %q", bad)
		}
	}
}

// The backlog is queried once for several reads, and omitted if the database fails.
func TestMetrics_backlogIsCached(t *testing.T) {
	t.Parallel()
	queries := 0
	m := newMetrics(func(context.Context, time.Time) ([]core.TaskBacklog, error) {
		queries++
		return []core.TaskBacklog{
			{Priority: core.PriorityHigh, Tasks: 3}, {Priority: core.PriorityHigh, Deferred: true, Tasks: 1},
		}, nil
	})
	read(m)
	text := read(m)
	for _, want := range []string{
		`agentarea_tasks_waiting{priority="high",status="due"} 3`,
		`agentarea_tasks_waiting{priority="high",status="deferred"} 1`,
		`agentarea_tasks_waiting{priority="low",status="due"} 0`, `agentarea_mcp_servers{status="error"} 2`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("metrics without %s", want)
		}
	}
	if queries != 1 {
		t.Errorf("%d queries, want 1", queries)
	}
	down := newMetrics(func(context.Context, time.Time) ([]core.TaskBacklog, error) { return nil, errors.New("down") })
	if text := read(down); strings.Contains(text, "agentarea_tasks_waiting{") ||
		!strings.Contains(text, "agentarea_build_info{") {
		t.Errorf("metrics while the database is down:\n%s", text)
	}
}
