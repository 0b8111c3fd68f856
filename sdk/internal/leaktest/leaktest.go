// Package leaktest fails a test run that leaves goroutines behind. It exists so that the
// SDK's module requires no module for tests alone.
package leaktest

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// wait is the time that goroutines have to end after the last test.
const wait = 5 * time.Second

// Main runs the tests of m and exits the process. The exit code is 1 if the tests pass but
// goroutines are still running after them.
func Main(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if leaked := find(); len(leaked) > 0 {
			fmt.Fprintf(os.Stderr, "leaktest: %d goroutines are still running after %v:\n\n%s\n",
				len(leaked), wait, strings.Join(leaked, "\n\n"))
			code = 1
		}
	}
	os.Exit(code)
}

// find returns the stacks of the goroutines that do not end within wait.
func find() []string {
	deadline := time.Now().Add(wait)
	for {
		leaked := slices.DeleteFunc(stacks(), expected)
		if len(leaked) == 0 || time.Now().After(deadline) {
			return leaked
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// stacks returns the stack of every goroutine except the caller's.
func stacks() []string {
	buf := make([]byte, 1<<20)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			return strings.Split(strings.TrimSpace(string(buf[:n])), "\n\n")[1:]
		}
		buf = make([]byte, 2*len(buf))
	}
}

// expected reports whether the goroutine belongs to the runtime or to package testing.
func expected(stack string) bool {
	return strings.Contains(stack, "\ncreated by os/signal.") || strings.Contains(stack, "\ncreated by testing.") ||
		strings.Contains(stack, "\ncreated by runtime.") || strings.Contains(stack, "\nruntime.ReadTrace(")
}
