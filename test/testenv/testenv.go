// Package testenv decides what a test run includes. It skips tests that need a program which
// is not installed, and long tests unless they are asked for.
//
// The Makefile sets the variables: make test runs the short form of everything, and
// make test-slow runs the tests that call Slow or Rounds with SlowVariable set.
package testenv

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
)

const (
	// SlowVariable, when set to 1, includes slow tests and the long form of Rounds.
	SlowVariable = "AGENTAREA_TEST_SLOW"

	// RequireVariable, when set to 1, turns each skip for a missing program into a failure. CI sets it.
	RequireVariable = "AGENTAREA_TEST_REQUIRE_ALL"

	// SkippedVariable names a file to which Missing appends a line for each reason to skip.
	SkippedVariable = "AGENTAREA_TEST_SKIPPED_LOG"

	// BinariesVariable names a folder with up-to-date programs, so that Binaries builds none.
	BinariesVariable = "AGENTAREA_TEST_BINARIES"

	// RaceVariable, when set to 1, makes Binaries return programs with the race detector.
	RaceVariable = "AGENTAREA_TEST_RACE_BINARIES"
)

// IsSlow reports whether slow tests run.
func IsSlow() bool { return os.Getenv(SlowVariable) == "1" }

// Slow skips a test that takes long, unless slow tests run.
// Call it in the test function itself: make test-slow finds slow tests by this call.
func Slow(tb testing.TB) {
	tb.Helper()
	if !IsSlow() {
		tb.Skip("slow: make test-slow runs it")
	}
}

// Rounds returns the number of repetitions of a test: long if slow tests run, else short.
// Call it in the test function itself: make test-slow finds slow tests by this call.
func Rounds(short, long int) int {
	if IsSlow() {
		return long
	}
	return short
}

// Linux skips a test that reads /proc.
func Linux(tb testing.TB) {
	tb.Helper()
	if runtime.GOOS != "linux" {
		tb.Skip("needs /proc, which only Linux has")
	}
}

// AsRoot skips a test unless the tests run as root. With RequireVariable it fails the test instead.
func AsRoot(tb testing.TB) {
	tb.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv(RequireVariable) == "1" {
		tb.Fatal("the tests must run as root")
	}
	tb.Skip("only root can change the owner of files")
}

var skipped sync.Mutex

// Missing skips a test because what, such as "PostgreSQL", is not available, for the given reason.
// It records the skip for make test to print. With RequireVariable it fails the test instead.
func Missing(tb testing.TB, what string, reason any) {
	tb.Helper()
	if os.Getenv(RequireVariable) == "1" {
		tb.Fatalf("%s is required and missing: %v; make test-setup installs it", what, reason)
	}
	if path := os.Getenv(SkippedVariable); path != "" {
		if err := record(path, fmt.Sprintf("%s: %v\n", what, reason)); err != nil {
			tb.Errorf("record the skipped test: %v", err)
		}
	}
	tb.Skipf("%s is missing: %v; make test-setup installs it", what, reason)
}

func record(path, line string) error {
	skipped.Lock()
	defer skipped.Unlock()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(line)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// Cache returns the folder into which make test-setup installs tools, outside of the checkout.
func Cache() (string, error) {
	dir := os.Getenv("XDG_CACHE_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(home, ".cache")
	}
	return filepath.Join(dir, "agentarea"), nil
}

// Root returns the folder of the checkout, found from the working directory of a test.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		// go.mod alone would find a nested module.
		if _, err := os.Stat(filepath.Join(dir, "core", "cmd", "agentarea")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("the working directory is not in a checkout of AgentArea")
		}
		dir = parent
	}
}

// CrashRounds is Rounds for tests that kill a server, and AGENTAREA_TEST_CRASH_ROUNDS overrides it.
func CrashRounds(tb testing.TB, short, long int) int {
	tb.Helper()
	text := os.Getenv("AGENTAREA_TEST_CRASH_ROUNDS")
	if text == "" {
		return Rounds(short, long)
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		tb.Fatalf("AGENTAREA_TEST_CRASH_ROUNDS: %v", err)
	}
	return n
}
