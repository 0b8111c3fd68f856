package testenv

import (
	"fmt"
	"testing"
	"time"
)

// log is a testing.TB that collects errors.
type log struct {
	testing.TB
	errors []string
}

func (l *log) Errorf(format string, args ...any) {
	l.errors = append(l.errors, fmt.Sprintf(format, args...))
}

func TestStopwatch(t *testing.T) {
	t.Parallel()
	fake := &log{TB: t}
	if !StartStopwatch().Check(fake, time.Hour, "nothing") || len(fake.errors) > 0 {
		t.Errorf("Check() has no result or fails within the limit: %q", fake.errors)
	}
	w := StartStopwatch()
	time.Sleep(20 * time.Millisecond)
	// The delays exceed a quarter of this limit, unless they are 0.
	if got := w.Check(fake, time.Nanosecond, "a pause"); got != (len(fake.errors) == 1) {
		t.Errorf("Check() = %v with the errors %q, want an error exactly if there is a result", got, fake.errors)
	}
}

func TestTooBusy(t *testing.T) {
	t.Parallel()
	if tooBusy(200*time.Millisecond, time.Second) {
		t.Error("a delay of a fifth of the limit is too long")
	}
	if !tooBusy(300*time.Millisecond, time.Second) {
		t.Error("a delay of a third of the limit is not too long")
	}
}
