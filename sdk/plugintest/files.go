package plugintest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/files"
)

// checks contains the state of the checks of a file backend.
type checks struct {
	command Command
	plugin  *Plugin
	client  *files.Client
	// prefix is the prefix of all keys.
	prefix string

	mu   sync.Mutex
	used map[string]bool
}

// Files checks a file backend.
func Files(t *testing.T, c Command) {
	t.Helper()
	if c.DataDir == "" {
		c.DataDir = t.TempDir() // the Killed check starts a second process with the same folder
	}
	p := Start(t, files.Kind, c)
	s := &checks{
		command: c, plugin: p, client: files.NewClient(p.Conn),
		prefix: "plugintest-" + strings.ToLower(rand.Text()[:12]), used: map[string]bool{},
	}
	t.Cleanup(func() { s.clean(t) })
	t.Run("Base", func(t *testing.T) { base(t, files.Kind, c, p) })
	// Not in parallel, because it measures the memory of the process.
	t.Run("Large", func(t *testing.T) { (&subtest{"Large", s.large}).do(t, files.Kind) })
	subtests(t, files.Kind, []subtest{
		{"RoundTrip", s.roundTrip},
		{"Overwrite", s.overwrite},
		{"NotFound", s.notFound},
		{"Delete", s.delete},
		{"Health", s.health},
		{"Presign", s.presign},
		{"Ranges", s.ranges},
		{"OddKeys", s.oddKeys},
		{"KeysAboveTheRoot", s.keysAboveTheRoot},
		{"BadKeys", s.badKeys},
		{"List", s.list},
		{"DeclaredSize", s.declaredSize},
		{"PutCancelled", s.putCancelled},
		{"GetCancelled", s.getCancelled},
		{"ParallelPuts", s.parallelPuts},
		{"ParallelPutsOfAKey", s.parallelPutsOfAKey},
		{"Leaks", s.leaks},
		{"Killed", s.killed},
	})
}

// key returns a key that only this test uses. The object is deleted at the end.
func (s *checks) key(t *testing.T, name string) string {
	return s.use(s.folder(t) + name)
}

// folder returns the prefix of the keys of a test.
func (s *checks) folder(t *testing.T) string {
	_, name, _ := strings.Cut(t.Name(), "/")
	name, _, _ = strings.Cut(name, "/")
	return s.prefix + "/" + strings.ToLower(name) + "/"
}

// use registers a key for deletion.
func (s *checks) use(key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used[key] = true
	return key
}

// clean deletes all keys.
func (s *checks) clean(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*callTimeout)
	defer cancel()
	var wg sync.WaitGroup
	slots := make(chan struct{}, 16)
	for key := range s.used {
		slots <- struct{}{}
		wg.Go(func() {
			if err := s.client.Delete(ctx, key); err != nil {
				t.Errorf("Delete(%q) at the end: %v", key, err)
			}
			<-slots
		})
	}
	wg.Wait()
}

// put stores data under the key. It may be called by any goroutine.
func (s *checks) put(t *testing.T, key string, data []byte) {
	t.Helper()
	stored, err := s.client.Put(t.Context(), key, bytes.NewReader(data),
		files.PutOptions{Size: int64(len(data)), ContentType: "application/octet-stream"})
	if err != nil {
		t.Errorf("Put(%q): %v", key, err)
		return
	}
	if stored.Size != int64(len(data)) || stored.SHA256 != sha256.Sum256(data) {
		t.Errorf("Put(%q) of %d bytes = %d bytes with the SHA-256 %x, want all bytes and their SHA-256",
			key, len(data), stored.Size, stored.SHA256)
	}
}

func (s *checks) get(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	r, err := s.client.Get(ctx, key, offset, length)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// checkObject checks that the object of the key is want.
func (s *checks) checkObject(t *testing.T, key string, want []byte) {
	t.Helper()
	got, err := s.get(t.Context(), key, 0, 0)
	if err != nil {
		t.Errorf("Get(%q): %v", key, err)
	} else if !bytes.Equal(got, want) {
		t.Errorf("Get(%q) returned %d bytes, want the %d bytes of the last Put", key, len(got), len(want))
	}
	o, err := s.client.Stat(t.Context(), key)
	if err != nil {
		t.Errorf("Stat(%q): %v", key, err)
	} else if o.Key != key || o.Size != int64(len(want)) {
		t.Errorf("Stat(%q) = key %q, %d bytes, want %d bytes", key, o.Key, o.Size, len(want))
	}
}

// checkAbsent checks that the key does not exist.
func (s *checks) checkAbsent(t *testing.T, key string) {
	t.Helper()
	if _, err := s.client.Stat(t.Context(), key); codeOf(err) != sdk.CodeNotFound {
		t.Errorf("Stat(%q): error %v, want %s", key, err, sdk.CodeNotFound)
	}
	if _, err := s.get(t.Context(), key, 0, 0); codeOf(err) != sdk.CodeNotFound {
		t.Errorf("Get(%q): error %v, want %s", key, err, sdk.CodeNotFound)
	}
	if slices.Contains(s.keys(t, key, ""), key) {
		t.Errorf("List returned the key %q, which does not exist", key)
	}
}

func (s *checks) keys(t *testing.T, prefix, after string) []string {
	t.Helper()
	var keys []string
	for o, err := range s.client.List(t.Context(), prefix, after) {
		if err != nil {
			t.Fatalf("List(%q, %q): %v", prefix, after, err)
		}
		keys = append(keys, o.Key)
	}
	return keys
}

func codeOf(err error) sdk.ErrorCode {
	var e *sdk.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func (s *checks) health(t *testing.T) {
	checkHealthy(t, s.plugin.Base())
}
