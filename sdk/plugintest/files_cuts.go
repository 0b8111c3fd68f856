package plugintest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/files"
)

// declaredSize announces more or less than comes: nothing is kept.
func (s *checks) declaredSize(t *testing.T) {
	const n = 1 << 20
	data := noise(3, n)
	for i, size := range []int64{0, 1, n - 1, n + 1, 2 * n, 100 * n} {
		fresh, old := s.key(t, fmt.Sprint("fresh", i)), s.key(t, fmt.Sprint("old", i))
		s.put(t, old, []byte("old"))
		for _, key := range []string{fresh, old} {
			_, err := s.client.Put(t.Context(), key, bytes.NewReader(data), files.PutOptions{Size: size})
			if codeOf(err) != sdk.CodeInvalidRequest {
				t.Errorf("Put of %d bytes that were announced as %d: %v; want %s", n, size, err, sdk.CodeInvalidRequest)
			}
		}
		s.holdsNothing(t, fresh)
		s.holds(t, old, []byte("old"))
	}
}

// putCancelled cuts Puts in the middle, and at the end, of their bytes: nothing
// is kept.
func (s *checks) putCancelled(t *testing.T) {
	var fresh, old []string
	for _, n := range []int{0, 1, 300 << 10, 9 << 20} {
		for _, size := range []int64{-1, int64(n), int64(n) + 1} {
			for _, how := range []string{"cancel", "reader"} {
				name := fmt.Sprintf("%d-%d-%s", n, size, how)
				fresh = append(fresh, s.key(t, name))
				old = append(old, s.key(t, name+"-old"))
				s.put(t, old[len(old)-1], []byte("old"))
				s.cut(t, fresh[len(fresh)-1], n, size, how)
				s.cut(t, old[len(old)-1], n, size, how)
			}
		}
	}
	// After all of them, for what a plugin does too late to be seen at once.
	for i := range fresh {
		s.holdsNothing(t, fresh[i])
		s.holds(t, old[i], []byte("old"))
		if err := s.client.Delete(t.Context(), fresh[i]); err != nil {
			t.Errorf("Delete after a Put that was cut: %v", err)
		}
	}
	// What was left behind is in nobody's way.
	s.put(t, fresh[0], []byte("new"))
	s.holds(t, fresh[0], []byte("new"))
}

// cut begins a Put, and cuts it when n bytes were given.
func (s *checks) cut(t *testing.T, key string, n int, size int64, how string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := io.MultiReader(stream(4, int64(n)), tap(func() error {
		if how == "cancel" {
			cancel()
		}
		return errCut
	}))
	if _, err := s.client.Put(ctx, key, r, files.PutOptions{Size: size}); !errors.Is(err, errCut) {
		t.Errorf("Put that was cut after %d bytes: %v", n, err)
	}
}

// getCancelled leaves many Gets alone: the plugin has neither run out of
// anything nor stopped.
func (s *checks) getCancelled(t *testing.T) {
	key, data := s.key(t, "k"), noise(5, 8<<20)
	s.put(t, key, data)
	for i := range 60 {
		ctx, cancel := context.WithCancel(t.Context())
		r, err := s.client.Get(ctx, key, 0, 0)
		if err != nil {
			cancel()
			t.Fatalf("Get, after %d that were left: %v", i, err)
		}
		head := make([]byte, 100)
		if _, err := io.ReadFull(r, head); err != nil || !bytes.Equal(head, data[:100]) {
			t.Errorf("Get, after %d that were left: %v", i, err)
		}
		if i%2 == 0 {
			cancel()
			if _, err := io.Copy(io.Discard, r); codeOf(err) != sdk.CodeCancelled {
				t.Errorf("a Get that was cancelled: %v; want %s", err, sdk.CodeCancelled)
			}
		}
		_ = r.Close()
		cancel()
	}
	s.holds(t, key, data)
}

// inParallel runs f(0) to f(n-1), eight at a time.
func (s *checks) inParallel(n int, f func(i int)) {
	var wg sync.WaitGroup
	most := make(chan struct{}, 8)
	for i := range n {
		most <- struct{}{}
		wg.Go(func() {
			defer func() { <-most }()
			f(i)
		})
	}
	wg.Wait()
}

func (s *checks) parallelPuts(t *testing.T) {
	const n = 24
	key := func(i int) string { return s.key(t, fmt.Sprintf("many/%02d", i)) }
	s.inParallel(n, func(i int) { s.put(t, key(i), noise(byte(i), 700<<10+i)) })
	s.inParallel(n, func(i int) { s.holds(t, key(i), noise(byte(i), 700<<10+i)) })
}

// parallelPutsOfAKey ends with one of them, whole.
func (s *checks) parallelPutsOfAKey(t *testing.T) {
	const n = 8
	key := s.key(t, "k")
	s.inParallel(n, func(i int) { s.put(t, key, noise(byte(i), 2<<20+i)) })
	got, err := s.get(t.Context(), key, 0, 0)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	for i := range n {
		if bytes.Equal(got, noise(byte(i), 2<<20+i)) {
			s.holds(t, key, got)
			return
		}
	}
	t.Errorf("after %d Puts at once the key holds %d bytes that are those of none", n, len(got))
}

// killed kills a plugin in the middle of Puts: the next one finds the keys as
// they were.
func (s *checks) killed(t *testing.T) {
	fresh, old := s.key(t, "fresh"), s.key(t, "old")
	s.put(t, old, []byte("old"))
	victim := Start(t, files.Kind, s.command)
	given := make(chan struct{})
	dead := make(chan struct{})
	client := files.NewClient(victim.Conn)
	failed := make(chan error)
	for _, key := range []string{fresh, old} {
		r := io.MultiReader(stream(6, 12<<20), tap(func() error {
			given <- struct{}{}
			<-dead
			return io.EOF
		}))
		go func() {
			_, err := client.Put(t.Context(), key, r, files.PutOptions{Size: -1})
			failed <- err
		}()
	}
	<-given
	<-given
	victim.Kill()
	close(dead)
	for range 2 {
		if err := <-failed; codeOf(err) != sdk.CodePluginCrashed {
			t.Errorf("Put by a plugin that was killed: %v; want %s", err, sdk.CodePluginCrashed)
		}
	}
	heir := &checks{client: files.NewClient(Start(t, files.Kind, s.command).Conn)}
	heir.holdsNothing(t, fresh)
	heir.holds(t, old, []byte("old"))
	if got := heir.keys(t, s.folder(t), ""); !slices.Equal(got, []string{old}) {
		t.Errorf("List gives %q", got)
	}
	if err := heir.client.Delete(t.Context(), fresh); err != nil {
		t.Errorf("Delete of what the killed one left: %v", err)
	}
	heir.put(t, fresh, []byte("new"))
	heir.holds(t, fresh, []byte("new"))
}
