package app

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestWatchFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "plugins.hcl")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	changes := make(chan struct{}, 10)
	if err := watchFile(t.Context(), path, slog.New(slog.DiscardHandler), func() { changes <- struct{}{} }); err != nil {
		t.Fatal(err)
	}
	wantChange := func(what string) {
		t.Helper()
		select {
		case <-changes:
		case <-time.After(10 * time.Second):
			t.Fatalf("%s was not seen", what)
		}
	}
	write("plugins.hcl", "one")
	wantChange("a file that is made")
	write("plugins.hcl", "two")
	wantChange("a file that is written")
	write("new", "three")
	if err := os.Rename(filepath.Join(dir, "new"), path); err != nil {
		t.Fatal(err)
	}
	wantChange("a file that is replaced")
	write("plugins.hcl", "three")
	write("other", "four")
	write("plugins.hcl", "five")
	wantChange("the last change")
	if len(changes) > 0 {
		t.Error("what was no change was told as one")
	}
}

func TestWatchFileInNoFolder(t *testing.T) {
	t.Parallel()
	err := watchFile(t.Context(), filepath.Join(t.TempDir(), "none", "plugins.hcl"), slog.New(slog.DiscardHandler), func() {})
	if err == nil {
		t.Error("a folder that is not there can be watched")
	}
}
