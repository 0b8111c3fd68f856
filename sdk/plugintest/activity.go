package plugintest

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/agentarea/agentarea/sdk/plugin"
)

const (
	// leakRounds is the number of times that a leak check repeats its calls, after warmUpRounds.
	leakRounds   = 12
	warmUpRounds = 3
	// maxLeft is the number of tasks, files or connections that a plugin may have more after leakRounds than before,
	// because pools grow. A plugin that leaks one in each round has more.
	maxLeft = 8
	// pollInterval is the interval at which the checks test whether a condition holds.
	pollInterval = 20 * time.Millisecond
)

// checkIdle checks that the plugin ends all its calls within limit. The plugin must be used by this check only. The
// rule cannot be checked if the plugin does not report its calls.
func (p *Plugin) checkIdle(t *testing.T, limit time.Duration, after string) {
	t.Helper()
	calls, ok := p.waitIdle(t, limit)
	switch {
	case !ok:
		t.Log("cannot check whether the calls end in the plugin, because its Health does not report active_calls; " +
			"see the conformance kit in docs/plugins.md")
	case calls != 0:
		t.Errorf("the plugin has not ended %d of its calls %s after %s, want none left: end a call when its context, or "+
			"the stream, is cancelled", calls, limit, after)
	}
}

// waitIdle waits until the plugin has no call in progress, at most for limit. It returns the number of calls, or
// false if the plugin does not report it.
func (p *Plugin) waitIdle(t *testing.T, limit time.Duration) (calls int64, ok bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(pollInterval) {
		a := p.activity(t)
		if a.Calls == nil {
			return 0, false
		}
		if *a.Calls == 0 || time.Now().After(deadline) {
			return *a.Calls, true
		}
	}
}

func (p *Plugin) activity(t *testing.T) plugin.Activity {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), healthTimeout)
	defer cancel()
	a, err := p.Base().Activity(ctx)
	if err != nil {
		t.Fatalf("Health: %v", err)
	}
	return a
}

// resource is something that a process has a number of.
type resource struct {
	name, advice string
	// count returns the number, or -1 if it is unknown.
	count func() int64
}

// resources returns what a leak check counts.
func (p *Plugin) resources(t *testing.T) []resource {
	t.Helper()
	proc := func(list string) int64 {
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/%s", p.Pid(), list))
		if err != nil {
			return -1 // a system without /proc
		}
		return int64(len(entries))
	}
	tasks := resource{"threads", "end threads when the call ends that started them", func() int64 { return proc("task") }}
	if p.activity(t).Tasks != nil {
		tasks = resource{
			"tasks, such as goroutines", "end them when the call ends that started them",
			func() int64 { return *p.activity(t).Tasks },
		}
	}
	return []resource{
		tasks,
		{"open files and connections", "close them when the call ends that opened them", func() int64 { return proc("fd") }},
	}
}

// checkLeaks calls round repeatedly, and checks that the plugin does not keep something of each round. The plugin must
// be used by this check only.
func (p *Plugin) checkLeaks(t *testing.T, calls string, round func()) {
	t.Helper()
	repeat := func(n int) bool {
		for range n {
			round()
			// Without this wait, calls overlap, so that a pool of threads grows.
			if left, ok := p.waitIdle(t, stopTime); ok && left != 0 {
				t.Errorf("the plugin has not ended %d of its calls %s after %s, want none left", left, stopTime, calls)
			}
			if t.Failed() {
				return false
			}
		}
		return true
	}
	if !repeat(warmUpRounds) {
		return
	}
	resources := p.resources(t)
	before := make([]int64, len(resources))
	for i, r := range resources {
		before[i] = r.count()
	}
	if !repeat(leakRounds) {
		return
	}
	for i, r := range resources {
		if before[i] < 0 {
			t.Logf("did not count %s, because there is no /proc", r.name)
			continue
		}
		after := r.count()
		for deadline := time.Now().Add(stopTime); after > before[i]+maxLeft && time.Now().Before(deadline); {
			time.Sleep(pollInterval)
			after = r.count()
		}
		if after > before[i]+maxLeft {
			t.Errorf("the plugin has %d %s after %d rounds of %s, and had %d before, want at most %d more: %s",
				after, r.name, leakRounds, calls, before[i], maxLeft, r.advice)
		}
	}
}
