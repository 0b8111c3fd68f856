package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// move starts the command agentarea files move.
func (s *server) move(from, to string) *process {
	s.t.Helper()
	return run(s.t, s.dir, []string{"AGENTAREA_ADMIN_PASSWORD=" + adminPassword}, "files", "move", "--url", s.url,
		"--from", from, "--to", to)
}

// wantMoved checks that a move succeeds and prints the words.
func wantMoved(t *testing.T, move *process, words ...string) {
	t.Helper()
	if code := move.exitCode(t); code != 0 {
		t.Errorf("got exit code %d of the move, want 0: %s", code, move.stderr)
	}
	for _, word := range words {
		if !strings.Contains(move.stdout.String(), word) {
			t.Errorf("the move prints %q, want %q", move.stdout, word)
		}
	}
}

// If the server is killed while files move, the command waits and continues by itself. Files stay
// usable during the move.
func TestMoveContinuesAfterKill(t *testing.T) {
	t.Parallel()
	s := start(t, twoBackends("one"))
	c := s.signIn()
	const files = 150
	for i := range files {
		c.upload("f", randomBytes(uint64(i), 50<<10+i))
	}
	s.writePlugins(twoBackends("two"))
	c.reload()
	load := c.load(256 << 10)
	move := s.move("one", "two")
	eventually(t, "the first moved files", func() bool {
		// Files that are uploaded in the meantime have other sizes.
		_, sizes := s.objects(folderTwo)
		moved := 0
		for _, size := range sizes {
			if size >= 50<<10 && size < 50<<10+files {
				moved++
			}
		}
		return moved > 20
	})
	load.down.Store(true)
	s.kill()
	select {
	case <-move.exited:
		t.Errorf("the move has ended before the server was killed: %s", move.stdout)
	default:
	}
	s.wantObjectsKnown(folderOne)
	s.wantObjectsKnown(folderTwo)
	s.restart()
	wantMoved(t, move, fmt.Sprintf("%d files", files), "moved from one to two")
	if !strings.Contains(move.stderr.String(), "retrying") {
		t.Errorf("the move does not report that it waits: %s", move.stderr)
	}
	load.down.Store(false)
	wantMoved(t, s.move("one", "two"), "0 files") // nothing is left to move
	load.end()
	var sizes []int64
	for _, f := range c.files() {
		sizes = append(sizes, f.Size)
		c.checkDownload(f)
	}
	s.kill()
	s.expirePending()
	s.restart()
	s.waitObjects(folderOne)
	s.waitObjects(folderTwo, sizes...)
	if got := c.files(); len(got) != len(sizes) {
		t.Errorf("got %d files, want %d", len(got), len(sizes))
	}
}

// A move that cannot be done fails with the reason. Damaged files stay where they are.
func TestMoveFails(t *testing.T) {
	t.Parallel()
	s := start(t, twoBackends("one"))
	c := s.signIn()
	damaged, lost, fine := c.upload("damaged", randomBytes(1, 1000)), c.upload("lost",
		randomBytes(3, 3000)), c.upload("fine", randomBytes(2, 2000))
	for _, tt := range []struct {
		from, to string
		words    []string
	}{
		{"three", "two", []string{"three", "one, two"}},
		{"one", "three", []string{"three", "one, two"}},
		{"one", "one", []string{"Must differ"}},
	} {
		m := s.move(tt.from, tt.to)
		if code := m.exitCode(t); code != 1 {
			t.Errorf("got exit code %d, want 1", code)
		}
		for _, word := range tt.words {
			if !strings.Contains(m.stderr.String(), word) {
				t.Errorf("the move prints %s, want %q", m.stderr, word)
			}
		}
	}
	wrong := run(t, s.dir, []string{"AGENTAREA_ADMIN_PASSWORD=not this one"}, "files", "move", "--url", s.url, "--from",
		"one", "--to", "two")
	if code := wrong.exitCode(t); code != 1 {
		t.Errorf("got exit code %d for a wrong password, want 1: %s", code, wrong.stderr)
	}
	// Files whose content is damaged or lost are reported and not moved.
	s.changeObject(folderOne, damaged.Size, func(path string, data []byte) error {
		data[0]++
		return os.WriteFile(path, data, 0o600)
	})
	s.changeObject(folderOne, lost.Size, func(path string, _ []byte) error { return os.Remove(path) })
	m := s.move("one", "two")
	if code := m.exitCode(t); code != 1 {
		t.Errorf("got exit code %d, want 1: %s", code, m.stderr)
	}
	for id, word := range map[string]string{damaged.ID: "checksum", lost.ID: "are missing"} {
		_, line, _ := strings.Cut(m.stderr.String(), id)
		if line, _, _ = strings.Cut(line, "\n"); !strings.Contains(line, word) {
			t.Errorf("the move prints %s, want %q for %s", m.stderr, word, id)
		}
	}
	c.checkDownload(fine)
	if _, sizes := s.objects(folderTwo); !slices.Equal(sizes, []int64{fine.Size}) {
		t.Errorf("got moved files of %d bytes, want %d", sizes, fine.Size)
	}

	// A backend that cannot store anything ends the move with its reason.
	objects := filepath.Join(s.dir, "data", "plugins", folderTwo, "objects")
	if err := errors.Join(os.RemoveAll(objects), os.WriteFile(objects, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	c.upload("stays", randomBytes(4, 4000))
	m = s.move("one", "two")
	if code := m.exitCode(t); code != 1 || !strings.Contains(m.stderr.String(), `"two" is not available`) ||
		!strings.Contains(m.stderr.String(), "It reports: disk error") || strings.Contains(m.stderr.String(), "retrying") {
		t.Errorf("got exit code %d and %s, want 1 and the backend's reason at once", code, m.stderr)
	}
}
