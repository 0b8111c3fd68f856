package backup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestWriteNew_link(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	other, link := filepath.Join(dir, "other"), filepath.Join(dir, "link")
	if err := os.WriteFile(other, []byte("unchanged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, link); err != nil {
		t.Fatal(err)
	}
	if err := writeNew(link, "new"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("writeNew to a link = %v, want an error because it exists", err)
	}
	if text, err := os.ReadFile(other); err != nil || string(text) != "unchanged" {
		t.Errorf("the target of the link has %q, %v", text, err)
	}
}
