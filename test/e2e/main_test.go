// Package e2e_test drives the built programs as their users do: over HTTP, with signals, and
// through plugins.hcl.
package e2e_test

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// Most tests wait for processes most of the time, so more of them run at once than there are CPUs.
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		if err := f.Value.Set(strconv.Itoa(3 * runtime.GOMAXPROCS(0))); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	for _, problem := range stopShared() {
		fmt.Fprintln(os.Stderr, problem)
		code = max(code, 1)
	}
	os.Exit(code)
}
