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
			t.Fatalf("no change reported after %s", what)
		}
	}
	write("plugins.hcl", "one")
	wantChange("creating the file")
	write("plugins.hcl", "two")
	wantChange("writing the file")
	write("new", "three")
	if err := os.Rename(filepath.Join(dir, "new"), path); err != nil {
		t.Fatal(err)
	}
	wantChange("replacing the file")
	write("plugins.hcl", "three")
	write("other", "four")
	write("plugins.hcl", "five")
	wantChange("the last change")
	if len(changes) > 0 {
		t.Error("a change was reported for a write of the same content or of another file")
	}
}

func TestWatchFile_missingFolder(t *testing.T) {
	t.Parallel()
	err := watchFile(t.Context(), filepath.Join(t.TempDir(), "none", "plugins.hcl"), slog.New(slog.DiscardHandler),
		func() {})
	if err == nil {
		t.Error("watchFile in a folder that does not exist: no error")
	}
}
