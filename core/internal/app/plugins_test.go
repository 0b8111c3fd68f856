package app

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// root is the checkout.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// A new project builds, is well formatted, and passes its test at once.
func TestNewProjectsPassTheirTest(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"agent", "llm", "files", "mcp"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "project")
			var out bytes.Buffer
			if code := Main(t.Context(), []string{"plugins", "new", kind, "mine", "--dir", dir, "--sdk", root(t)}, &out, &out); code != 0 {
				t.Fatalf("exit code %d: %s", code, &out)
			}
			for _, args := range [][]string{{"gofmt", "-l", "."}, {"go", "mod", "tidy"}, {"go", "vet", "./..."}, {"go", "test", "./..."}} {
				cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
				cmd.Dir = dir
				cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
				text, err := cmd.CombinedOutput()
				if err != nil || args[0] == "gofmt" && len(text) > 0 {
					t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, text)
				}
			}
			if code := Main(t.Context(), []string{"plugins", "new", kind, "mine", "--dir", dir}, &out, &out); code == 0 {
				t.Error("a project is written over what is there")
			}
		})
	}
}

func TestNewProjectWithABadName(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"llm", "Mine!"}, {"model", "mine"}} {
		var out bytes.Buffer
		if code := Main(t.Context(), append([]string{"plugins", "new", "--dir", t.TempDir()}, args...), &out, &out); code != 1 {
			t.Errorf("%v: exit code %d: %s", args, code, &out)
		}
	}
}
