package e2e_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// move runs agentarea files move.
func (s *server) move(from, to string) *process {
	s.t.Helper()
	return run(s.t, s.dir, []string{"AGENTAREA_ADMIN_PASSWORD=" + adminPassword}, "files", "move", "--url", s.url, "--from", from, "--to", to)
}

func wantMoved(t *testing.T, move *process, words ...string) {
	t.Helper()
	if code := move.exitCode(t); code != 0 {
		t.Errorf("the move ends with %d: %s", code, move.stderr)
	}
	for _, word := range words {
		if !strings.Contains(move.stdout.String(), word) {
			t.Errorf("no %q in %q", word, move.stdout)
		}
	}
}

// Files move while they are used, and the server is killed in the middle: the
// command goes on by itself.
func TestMoveGoesOnAfterKill(t *testing.T) {
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
	eventually(t, "the first files to be moved", func() bool {
		// What is uploaded meanwhile is there too, and has another size.
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
		t.Errorf("the move ended before the server did: %s", move.stdout)
	default:
	}
	s.wantObjectsKnown(folderOne)
	s.wantObjectsKnown(folderTwo)
	s.restart()
	wantMoved(t, move, fmt.Sprintf("%d files", files), "moved from one to two")
	if !strings.Contains(move.stderr.String(), "waiting to go on") {
		t.Errorf("the move does not say that it waited: %s", move.stderr)
	}
	load.down.Store(false)
	wantMoved(t, s.move("one", "two"), "0 files") // there is no more to do
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
		t.Errorf("%d files, there were %d", len(got), len(sizes))
	}
}

// What is wrong with a move is said, with what to do.
func TestMoveRefused(t *testing.T) {
	t.Parallel()
	s := start(t, twoBackends("one"))
	c := s.signIn()
	spoilt, lost, fine := c.upload("spoilt", randomBytes(1, 1000)), c.upload("lost", randomBytes(3, 3000)), c.upload("fine", randomBytes(2, 2000))
	for _, tt := range []struct {
		from, to string
		words    []string
	}{
		{"three", "two", []string{"three", "one, two"}},
		{"one", "three", []string{"three", "one, two"}},
		{"one", "one", []string{"another backend"}},
	} {
		m := s.move(tt.from, tt.to)
		if code := m.exitCode(t); code != 1 {
			t.Errorf("exit code %d", code)
		}
		for _, word := range tt.words {
			if !strings.Contains(m.stderr.String(), word) {
				t.Errorf("no %q in %s", word, m.stderr)
			}
		}
	}
	wrong := run(t, s.dir, []string{"AGENTAREA_ADMIN_PASSWORD=not this one"}, "files", "move", "--url", s.url, "--from", "one", "--to", "two")
	if code := wrong.exitCode(t); code != 1 {
		t.Errorf("a wrong password ends with %d: %s", code, wrong.stderr)
	}
	// Files whose bytes were spoilt or lost on the disk stay, and are told.
	s.changeObject(folderOne, spoilt.Size, func(path string, data []byte) error {
		data[0]++
		return os.WriteFile(path, data, 0o600)
	})
	s.changeObject(folderOne, lost.Size, func(path string, _ []byte) error { return os.Remove(path) })
	m := s.move("one", "two")
	if code := m.exitCode(t); code != 1 {
		t.Errorf("exit code %d: %s", code, m.stderr)
	}
	for id, word := range map[string]string{spoilt.ID: "checksum", lost.ID: "not where they were kept"} {
		_, line, _ := strings.Cut(m.stderr.String(), id)
		if line, _, _ = strings.Cut(line, "\n"); !strings.Contains(line, word) {
			t.Errorf("no %q of %s in %s", word, id, m.stderr)
		}
	}
	c.checkDownload(fine)
	if _, sizes := s.objects(folderTwo); !slices.Equal(sizes, []int64{fine.Size}) {
		t.Errorf("moved were %d", sizes)
	}
}
