package plugintest_test

import (
	"fmt"
	"runtime"
	"testing"
)

// fatal is a testing.TB that records the message of Fatal.
type fatal struct {
	*testing.T
	done chan string
}

func (f *fatal) Fatalf(format string, args ...any) {
	f.done <- fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (f *fatal) Fatal(args ...any) { f.Fatalf("%s", fmt.Sprint(args...)) }
