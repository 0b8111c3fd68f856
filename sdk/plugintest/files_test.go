package plugintest_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/agentarea/agentarea/sdk/plugintest"
)

var shelf = sync.OnceValues(func() (string, error) { return build("shelf") })

// build builds a program of testdata and returns its path. The file stays in the user's cache, so that the
// next run need not link it again.
func build(name string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	here, err := os.Getwd()
	if err != nil {
		return "", err
	}
	// Each checkout has its own programs.
	checkout := fmt.Sprintf("%x", sha256.Sum256([]byte(here)))[:12]
	path := filepath.Join(cache, "agentarea", "plugintest-"+checkout, name)
	out, err := exec.CommandContext(context.Background(), "go", "build", "-o", path, "./testdata/"+name).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
}

// program returns the value of a variable, which a test sets for the tests that it runs in another process.
// Without the variable, it returns the result of build.
func program(t *testing.T, variable string, build func() (string, error)) string {
	t.Helper()
	if path := os.Getenv(variable); path != "" {
		return path
	}
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestFiles checks a correct backend. TestFiles_findsFaults runs it with faults.
func TestFiles(t *testing.T) {
	t.Parallel()
	plugintest.Files(t, plugintest.Command{
		Path: program(t, "SHELF", shelf), Env: []string{"FAULT=" + os.Getenv("FAULT")}, Config: map[string]any{"size": 2},
	})
}

func TestFiles_findsFaults(t *testing.T) {
	t.Parallel()
	type test struct{ fault, check, words string }
	tests := []test{
		{"lies about the sum", "RoundTrip", "SHA-256"},
		{"ignores ranges", "Ranges", "the middle"},
		{"ignores lengths", "Ranges", "more bytes than requested"},
		{"no not_found", "NotFound", "want not_found"},
		{"deletes once", "Delete", "Delete: "},
		{"folds case", "OddKeys", "/A"},
		{"lists in no order", "List", "the order of their bytes"},
		{"ignores after", "List", "is not empty"},
		{"writes in place", "Overwrite", "neither the old nor the new"},
		{"ill", "Health", "Health: "},
		{"presigns nonsense", "Presign", "GET: "},
		{"lists one page", "List", "List returned 1000 keys, want 1005"},
		{"keeps files open", "Leaks", "open files and connections"},
	}
	if os.Getenv("AGENTAREA_TEST_SLOW") == "1" {
		tests = append(
			tests,
			test{"buffers", "Large", "memory grew by"},
			test{"writes in place", "Killed", "bytes"},
			test{"keeps what was cut", "PutCancelled", "want not_found"},
		)
	}
	for _, tt := range tests {
		t.Run(tt.fault+" by "+tt.check, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestFiles$/^"+tt.check+"$", "-test.v")
			cmd.Env = append(os.Environ(), "FAULT="+tt.fault, "SHELF="+program(t, "SHELF", shelf))
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestFiles/"+tt.check) ||
				!strings.Contains(string(out), tt.words) {
				t.Errorf("the check with the fault %q: error %v, want a failure that contains %q; output:\n%s",
					tt.fault, err, tt.words, out)
			}
		})
	}
}

func TestStart_failure(t *testing.T) {
	t.Parallel()
	binary := program(t, "SHELF", shelf)
	tests := []struct {
		name    string
		command plugintest.Command
		kind    string
		words   string
	}{
		{"config", plugintest.Command{Path: binary, Config: map[string]any{"size": 0}}, "files", "Configure: size: is too small"},
		{"unknown config", plugintest.Command{Path: binary, Config: map[string]any{"depth": 1}}, "files", "depth: is not a known attribute"},
		{"kind", plugintest.Command{Path: binary}, "llm", `kind is "files"`},
		{"no binary", plugintest.Command{Path: binary + "-not"}, "files", "start: "},
		{"no plugin", plugintest.Command{Path: "/bin/echo"}, "files", "start: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tb := &fatal{T: t, done: make(chan string, 1)}
			go func() {
				defer close(tb.done)
				plugintest.Start(tb, tt.kind, tt.command)
			}()
			if got := <-tb.done; !strings.Contains(got, tt.words) {
				t.Errorf("Start failed with %q, want a message that contains %q", got, tt.words)
			}
		})
	}
}
