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

// declaredSize checks that a Put with a wrong size fails and does not change the object.
func (s *checks) declaredSize(t *testing.T) {
	const n = 1 << 20
	data := noise(3, n)
	for i, size := range []int64{0, 1, n - 1, n + 1, 2 * n, 100 * n} {
		fresh, old := s.key(t, fmt.Sprint("fresh", i)), s.key(t, fmt.Sprint("old", i))
		s.put(t, old, []byte("old"))
		for _, key := range []string{fresh, old} {
			_, err := s.client.Put(t.Context(), key, bytes.NewReader(data), files.PutOptions{Size: size})
			if codeOf(err) != sdk.CodeInvalidRequest {
				t.Errorf("Put of %d bytes with the size %d: error %v, want %s", n, size, err, sdk.CodeInvalidRequest)
			}
		}
		s.checkAbsent(t, fresh)
		s.checkObject(t, old, []byte("old"))
	}
}

// putCancelled checks that Puts that are interrupted in the middle or at the end of their content do not
// change the object.
func (s *checks) putCancelled(t *testing.T) {
	var fresh, old []string
	for _, n := range []int{0, 1, 300 << 10, 9 << 20} {
		for _, size := range []int64{-1, int64(n), int64(n) + 1} {
			for _, how := range []string{"cancel", "reader"} {
				name := fmt.Sprintf("%d-%d-%s", n, size, how)
				fresh = append(fresh, s.key(t, name))
				old = append(old, s.key(t, name+"-old"))
				s.put(t, old[len(old)-1], []byte("old"))
				s.interruptPut(t, fresh[len(fresh)-1], n, size, how)
				s.interruptPut(t, old[len(old)-1], n, size, how)
			}
		}
	}
	// Check after all interruptions, because a plugin may store an object late.
	for i := range fresh {
		s.checkAbsent(t, fresh[i])
		s.checkObject(t, old[i], []byte("old"))
		if err := s.client.Delete(t.Context(), fresh[i]); err != nil {
			t.Errorf("Delete after an interrupted Put: %v", err)
		}
	}
	// A new Put succeeds in spite of remains of an interrupted one.
	s.put(t, fresh[0], []byte("new"))
	s.checkObject(t, fresh[0], []byte("new"))
}

// interruptPut interrupts a Put after n bytes.
func (s *checks) interruptPut(t *testing.T, key string, n int, size int64, how string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := io.MultiReader(stream(4, int64(n)), tap(func() error {
		if how == "cancel" {
			cancel()
		}
		return errInterrupted
	}))
	if _, err := s.client.Put(ctx, key, r, files.PutOptions{Size: size}); !errors.Is(err, errInterrupted) {
		t.Errorf("Put interrupted after %d bytes: error %v, want the error of the reader", n, err)
	}
}

// getCancelled checks that the plugin still works after many Gets that are not read to the end.
func (s *checks) getCancelled(t *testing.T) {
	key, data := s.key(t, "k"), noise(5, 8<<20)
	s.put(t, key, data)
	for i := range 60 {
		ctx, cancel := context.WithCancel(t.Context())
		r, err := s.client.Get(ctx, key, 0, 0)
		if err != nil {
			cancel()
			t.Fatalf("Get after %d unfinished ones: %v", i, err)
		}
		head := make([]byte, 100)
		if _, err := io.ReadFull(r, head); err != nil || !bytes.Equal(head, data[:100]) {
			t.Errorf("Get after %d unfinished ones: %v", i, err)
		}
		if i%2 == 0 {
			cancel()
			if _, err := io.Copy(io.Discard, r); codeOf(err) != sdk.CodeCancelled {
				t.Errorf("read of a cancelled Get: error %v, want %s", err, sdk.CodeCancelled)
			}
		}
		_ = r.Close()
		cancel()
	}
	s.checkObject(t, key, data)
}

// inParallel calls f(0) to f(n-1) with a concurrency of 8.
func (s *checks) inParallel(n int, f func(i int)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, 8)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			f(i)
		})
	}
	wg.Wait()
}

func (s *checks) parallelPuts(t *testing.T) {
	const n = 24
	key := func(i int) string { return s.key(t, fmt.Sprintf("many/%02d", i)) }
	s.inParallel(n, func(i int) { s.put(t, key(i), noise(byte(i), 700<<10+i)) })
	s.inParallel(n, func(i int) { s.checkObject(t, key(i), noise(byte(i), 700<<10+i)) })
}

// parallelPutsOfAKey checks that concurrent Puts of one key store one of the objects completely.
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
			s.checkObject(t, key, got)
			return
		}
	}
	t.Errorf("after %d concurrent Puts the object has %d bytes, which are not the content of any Put", n, len(got))
}

// killed kills a plugin during Puts, and checks that the next process finds the objects unchanged.
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
			t.Errorf("Put with a killed plugin: error %v, want %s", err, sdk.CodePluginCrashed)
		}
	}
	next := &checks{client: files.NewClient(Start(t, files.Kind, s.command).Conn)}
	next.checkAbsent(t, fresh)
	next.checkObject(t, old, []byte("old"))
	if got := next.keys(t, s.folder(t), ""); !slices.Equal(got, []string{old}) {
		t.Errorf("List after the kill = %q, want only the previous object", got)
	}
	if err := next.client.Delete(t.Context(), fresh); err != nil {
		t.Errorf("Delete after the kill: %v", err)
	}
	next.put(t, fresh, []byte("new"))
	next.checkObject(t, fresh, []byte("new"))
}
