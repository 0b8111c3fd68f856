package plugintest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/agentarea/agentarea/sdk/plugintest"
)

// binaries is the folder in which the shelf is built once for all tests.
var binaries string

var build = sync.OnceValues(func() (string, error) {
	path := filepath.Join(binaries, "shelf")
	out, err := exec.CommandContext(context.Background(), "go", "build", "-o", path, "./testdata/shelf").CombinedOutput()
	if err != nil {
		return "", errors.New(string(out))
	}
	return path, nil
})

func TestMain(m *testing.M) {
	var err error
	if binaries, err = os.MkdirTemp("", "plugintest"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(binaries)
	os.Exit(code)
}

func shelf(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("SHELF"); path != "" {
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
		Path: shelf(t), Env: []string{"FAULT=" + os.Getenv("FAULT")}, Config: map[string]any{"size": 2},
	})
}

func TestFiles_findsFaults(t *testing.T) {
	t.Parallel()
	tests := []struct{ fault, check, words string }{
		{"buffers", "Large", "memory grew by"},
		{"lies about the sum", "RoundTrip", "SHA-256"},
		{"ignores ranges", "Ranges", "the middle"},
		{"ignores lengths", "Ranges", "more bytes than requested"},
		{"no not_found", "NotFound", "want not_found"},
		{"deletes once", "Delete", "Delete: "},
		{"folds case", "OddKeys", "/A"},
		{"lists in no order", "List", "the order of their bytes"},
		{"ignores after", "List", "is not empty"},
		{"writes in place", "Overwrite", "neither the old nor the new"},
		{"writes in place", "Killed", "bytes"},
		{"keeps what was cut", "PutCancelled", "want not_found"},
		{"ill", "Health", "Health: "},
		{"presigns nonsense", "Presign", "GET: "},
	}
	for _, tt := range tests {
		t.Run(tt.fault+" by "+tt.check, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestFiles$/^"+tt.check+"$", "-test.v")
			cmd.Env = append(os.Environ(), "FAULT="+tt.fault, "SHELF="+shelf(t))
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
	binary := shelf(t)
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
