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
	for name, text := range map[string]string{"plugins/files-local/a": "Hello", Database: strings.Repeat("x", 3000), "plugins/none": ""} {
		if _, err := w.Add(name, int64(len(text)), strings.NewReader(text+"more")); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Finish(&Manifest{AgentArea: "1", Schema: 3}, none); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.tar")
	write(t, path)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	if _, err := Create(path); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("written over: %v", err)
	}
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() //nolint:errcheck // it was only read
	if m := r.Manifest; m.Schema != 3 || len(m.Entries) != 3 || m.Format != Format || m.CreatedAt.IsZero() {
		t.Errorf("%+v", m)
	}
	to := filepath.Join(dir, "to")
	if err := r.Extract(to, func(e Entry) bool { return e.Name != Database }); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(to, "plugins", "files-local", "a")); err != nil || string(text) != "Hello" {
		t.Errorf("%q %v", text, err)
	}
	if _, err := os.Stat(filepath.Join(to, Database)); err == nil {
		t.Error("what was not wanted is there")
	}
	if left, _ := filepath.Glob(path + ".*"); len(left) > 0 {
		t.Errorf("left is %q", left)
	}
}

func TestAnArchiveThatWasGivenUpIsNotThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w, err := Create(filepath.Join(dir, "a.tar"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Add("plugins/a", 10, strings.NewReader("short")); err == nil || !strings.Contains(err.Error(), "became shorter") {
		t.Error(err)
	}
	w.Abort()
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left is %v", left)
	}
}

// TestNoByteChangesUnnoticed, nor does one that is missing or added.
func TestNoByteChangesUnnoticed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.tar")
	write(t, path)
	whole, err := os.ReadFile(path)
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
			t.Errorf("%s: it is taken", name)
		}
	}
	for i := 0; i < len(whole); i += 41 {
		changed := bytes.Clone(whole)
		changed[i] ^= 0x20
		open("a byte changed", changed)
	}
	for _, n := range []int{0, 1, 511, 512, 1024, 2048, 4096, len(whole) / 2, len(whole)} {
		open("cut", whole[:len(whole)-n][:max(0, len(whole)-n-1)])
	}
	open("more", append(bytes.Clone(whole), make([]byte, 512)...))
	open("no archive", []byte(strings.Repeat("no archive\n", 1000)))
}

// FuzzOpen: what is no archive of ours is refused, and nothing is written outside
// of the folder.
func FuzzOpen(f *testing.F) {
	path := filepath.Join(f.TempDir(), "a.tar")
	write(f, path)
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:4096])
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := t.TempDir()
		// Summed up anew, so that what is behind the sum is reached.
		path := filepath.Join(dir, "a.tar")
		if err := os.WriteFile(path, resummed(t, content), 0o600); err != nil {
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
