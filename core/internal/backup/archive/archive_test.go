package archive

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func all(Entry) bool  { return true }
func none(Entry) bool { return false }

func write(t testing.TB, path string) {
	t.Helper()
	w, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for name, text := range map[string]string{
		"plugins/files-local/a": "Hello", Database: strings.Repeat("x", 3000), "plugins/none": "",
	} {
		if _, err := w.Add(name, int64(len(text)), strings.NewReader(text+"more")); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Finish(&Manifest{AgentArea: "1", Schema: 3}, none); err != nil {
		t.Fatal(err)
	}
}

func TestArchive_writeAndRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.tar")
	write(t, path)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the archive = %v, error %v, want 0600", info.Mode(), err)
	}
	if _, err := Create(path); err == nil || !strings.Contains(err.Error(), "already exists") {
		t.Errorf("Create of an existing file: error %v, want one that says so", err)
	}
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() //nolint:errcheck // it was only read
	if m := r.Manifest; m.Schema != 3 || len(m.Entries) != 3 || m.Format != Format || m.CreatedAt.IsZero() {
		t.Errorf("manifest = %+v, want schema 3 and three entries", m)
	}
	to := filepath.Join(dir, "to")
	if err := r.Extract(to, func(e Entry) bool { return e.Name != Database }); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(to, "plugins", "files-local", "a")); err != nil || string(text) != "Hello" {
		t.Errorf("extracted %q, error %v, want Hello", text, err)
	}
	if _, err := os.Stat(filepath.Join(to, Database)); err == nil {
		t.Error("Extract wrote an entry that was not wanted")
	}
	if left, _ := filepath.Glob(path + ".*"); len(left) > 0 {
		t.Errorf("temporary files %q are left", left)
	}
}

func TestWriter_Abort(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w, err := Create(filepath.Join(dir, "a.tar"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Add("plugins/a", 10, strings.NewReader("short")); err == nil ||
		!strings.Contains(err.Error(), "truncated while it was read") {
		t.Errorf("Add of a short reader: error %v, want one that says so", err)
	}
	w.Abort()
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("files %v are left", left)
	}
}

func TestOpen_changedFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.tar")
	write(t, path)
	valid, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	open := func(name string, content []byte) {
		t.Helper()
		bad := filepath.Join(t.TempDir(), "bad.tar")
		if err := os.WriteFile(bad, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if r, err := Open(bad); err == nil {
			_ = r.Close()
			t.Errorf("%s: Open succeeded, want an error", name)
		}
	}
	for i := 0; i < len(valid); i += 41 {
		changed := bytes.Clone(valid)
		changed[i] ^= 0x20
		open("a byte changed", changed)
	}
	for _, n := range []int{0, 1, 511, 512, 1024, 2048, 4096, len(valid) / 2, len(valid)} {
		open("truncated", valid[:len(valid)-n][:max(0, len(valid)-n-1)])
	}
	open("bytes appended", append(bytes.Clone(valid), make([]byte, 512)...))
	open("not an archive", []byte(strings.Repeat("no archive\n", 1000)))
}

// FuzzOpen checks that Open rejects any other content and that Extract writes nothing outside its folder.
func FuzzOpen(f *testing.F) {
	path := filepath.Join(f.TempDir(), "a.tar")
	write(f, path)
	valid, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(valid)
	f.Add(valid[:4096])
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := t.TempDir()
		// The checksum is corrected, so that the fuzzer reaches the code behind its check.
		path := filepath.Join(dir, "a.tar")
		if err := os.WriteFile(path, withChecksum(t, content), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Open(path)
		if err != nil {
			return
		}
		defer r.Close() //nolint:errcheck // it was only read
		_ = r.Extract(filepath.Join(dir, "in", "to"), all)
		for _, place := range []string{dir, filepath.Join(dir, "in")} {
			left, err := os.ReadDir(place)
			if err == nil && len(left) > 2 {
				t.Fatalf("%s has %v", place, left)
			}
		}
	})
}
