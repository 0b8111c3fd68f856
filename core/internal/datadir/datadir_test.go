package datadir

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestOpen_secondProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "deep", "data")
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "another server uses the data dir") {
		t.Errorf("Open of a locked directory: error %v, want one about another server", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
}
