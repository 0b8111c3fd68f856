package e2e_test

import (
	"bytes"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/test/testenv"
)

// waitTimeout bounds every wait and every request. It is long, because a test must pass on a
// busy machine, and no test that passes waits for it.
const waitTimeout = 3 * time.Minute

// eventually waits until a condition holds, and returns how long that took. what names the condition.
func eventually(t *testing.T, what string, condition func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !condition() {
		if time.Since(began) > waitTimeout {
			t.Fatalf("waited %s for %s", waitTimeout, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(began)
}

// busy is the factor by which a promised duration may be exceeded in a slow run, on a machine with other work.
const busy = 5

// within checks that something did not take longer than promised. It does so in slow runs only,
// because the time depends on the machine's load. make test-slow runs each test that calls it.
func within(t *testing.T, took, promised time.Duration, what string) {
	t.Helper()
	t.Logf("%s: %s", what, took.Round(time.Millisecond))
	if testenv.IsSlow() && took > busy*promised {
		t.Errorf("%s took %s, want at most %d times %s", what, took, busy, promised)
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

// output collects what a process writes.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// tail returns the last 8 KiB.
func (o *output) tail() string {
	const most = 8 << 10
	s := o.String()
	return s[max(0, len(s)-most):]
}
