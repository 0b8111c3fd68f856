package pluginhost

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

// TestRetries checks which completions are retried, and how often.
func TestRetries(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, block("p", "", ""), strings.Replace(block("once", "", ""), "{", "{\n  retries = 0", 1))
	if got, err := h.chat(t.Context(), "p", "flaky", 0); err != nil || got != "" {
		t.Errorf("chat(flaky) = %q, %v", got, err)
	}
	for _, c := range []struct {
		label, model string
		deltas       int64
		message      string
	}{
		{"p", "next-hour", 0, "try 4"}, // flaky took three tries
		{"p", "refused", 0, "try 5"},
		{"p", "hopeless", 1, "try 6"},
		{"p", "hopeless", 0, "try 9"},
		{"once", "hopeless", 0, "try 1"},
	} {
		_, err := h.chat(t.Context(), c.label, c.model, c.deltas)
		var e *sdk.Error
		if !errors.As(err, &e) || e.Message != c.message {
			t.Errorf("%s/%s after %d deltas: got error %v, want %s", c.label, c.model, c.deltas, err, c.message)
		}
	}
}

func TestRetryDelayEndsWithTheCall(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, strings.Replace(block("p", "", ""), "{", "{\n  retries = 1000", 1))
	ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
	defer cancel()
	// The delays between a thousand retries add up to years.
	if _, err := h.chat(ctx, "p", "hopeless", 0); err == nil {
		t.Error("got no error")
	}
}

func TestMaxConcurrency(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, strings.Replace(block("p", "", ""), "{", "{\n  max_concurrency = 3", 1))
	_, name, p, err := h.Provider(t.Context(), "p/gauge")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	lastError := ""
	for range 12 {
		wg.Go(func() {
			finish, err := p.Chat(t.Context(), request(name, 0), &texts{})
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			lastError = max(lastError, finish.Model)
		})
	}
	wg.Wait()
	if lastError != "3" {
		t.Errorf("got %s concurrent completions, want 3", lastError)
	}
}

// TestPlanReload checks that a plan reports the changes without making them.
func TestPlanReload(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, block("p", "", ""), block("q", "", ""))
	before := h.pids()
	h.write(t, block("p", "", "config {\n limit = 3\n }"), block("r", "", ""))
	plan, err := h.PlanReload(t.Context(), core.ReloadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if plan.Generation != 2 || strings.Join(plan.Started, "") != "llm/r" || strings.Join(plan.Replaced, "") != "llm/p" ||
		strings.Join(plan.Stopped, "") != "llm/q" {
		t.Errorf("plan = %+v", plan)
	}
	if after := h.pids(); len(after) != 2 || after["p"] != before["p"] || after["q"] != before["q"] {
		t.Errorf("pids changed from %v to %v", before, after)
	}
	h.write(t, block("p", "", `config {
  refuse = "yes"
}`))
	if _, err := h.PlanReload(t.Context(), core.ReloadOptions{}); core.CodeOf(err) != core.CodeValidation ||
		!strings.Contains(fieldsOf(err), "plugins.hcl:") {
		t.Errorf("plan of an invalid file: %v", err)
	}
}

// fieldsOf returns the issues of a validation error.
func fieldsOf(err error) string {
	var e *core.Error
	if !errors.As(err, &e) {
		return ""
	}
	var out strings.Builder
	for _, f := range e.Fields {
		out.WriteString(f.Issue + "\n")
	}
	return out.String()
}

func TestRequireChecksums(t *testing.T) {
	t.Parallel()
	h := newTestHost(t, testTiming)
	err := h.Start(t.Context(), parse(t, "require_checksums = true\n"+block("p", "", "")))
	if err == nil || !strings.Contains(err.Error(), "plugins.hcl:2,1-17: Missing sha256") ||
		!strings.Contains(err.Error(), "agentarea plugins lock") {
		t.Errorf("got %v", err)
	}
}

func TestPluginsReportGenerationAndMemory(t *testing.T) {
	t.Parallel()
	h := start(t, testTiming, block("p", "", ""), block("q", "", ""))
	h.write(t, block("p", "", ""), block("q", "", "config {\n limit = 3\n }"))
	h.reload(t)
	for _, p := range h.Plugins() {
		if want := map[string]uint64{"p": 1, "q": 2}[p.Label]; p.Generation != want {
			t.Errorf("%s has generation %d, want %d", p.Label, p.Generation, want)
		}
		if p.Memory < 1<<20 || p.Memory > 1<<30 {
			t.Errorf("%s uses %d bytes of memory", p.Label, p.Memory)
		}
	}
}
