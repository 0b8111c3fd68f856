package app

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentarea/agentarea/core"
)

// serverStore is a core.ServerStore in memory.
type serverStore struct {
	mu         sync.Mutex
	servers    []core.Server
	registered int
}

// set changes the store under its lock.
func (s *serverStore) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *serverStore) Servers(context.Context, time.Time) ([]core.Server, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.servers), nil
}

func (s *serverStore) RegisterServer(_ context.Context, server *core.Server) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.registered++
	for i := range s.servers {
		if s.servers[i].ID == server.ID {
			s.servers[i] = *server
			return nil
		}
	}
	s.servers = append(s.servers, *server)
	return nil
}

func TestReplicas_compare(t *testing.T) {
	t.Parallel()
	self := core.Server{ID: "self", Host: "here", Version: "1", Keys: []string{"k"}}
	for _, tt := range []struct {
		name   string
		others []core.Server
		// want is the message of the check; log is a part of the log. Both are empty for nothing.
		want, log string
	}{
		{name: "alone"},
		{name: "the same", others: []core.Server{{ID: "a", Host: "one", Version: "1", Keys: []string{"k"}, Plugins: "p"}}},
		{
			name: "another key", want: "1 other server has another secret key", log: "AGENTAREA_SECRET_KEY",
			others: []core.Server{{ID: "a", Host: "one", Version: "1", Keys: []string{"l"}, Plugins: "p"}},
		},
		{
			name: "other plugins", want: "2 other servers have another plugins.hcl", log: "plugins.hcl",
			others: []core.Server{
				{ID: "a", Host: "one", Version: "1", Keys: []string{"k"}, Plugins: "q"},
				{ID: "b", Host: "one", Version: "1", Keys: []string{"k", "l"}, Plugins: "r"},
				{ID: "c", Host: "two", Version: "1", Keys: []string{"k"}, Plugins: "p"},
			},
		},
		{
			name: "another version, as in a rolling upgrade", log: "another version",
			others: []core.Server{{ID: "a", Host: "one", Version: "2", Keys: []string{"k"}, Plugins: "p"}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			r := newReplicas(&serverStore{servers: tt.others}, self, func() string { return "p" },
				slog.New(slog.NewTextHandler(&log, nil)))
			for range 2 { // the second comparison logs nothing
				if err := r.compare(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			err := r.check()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("check() = %v, want %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "one") {
				t.Errorf("check() = %v names a host", err)
			}
			lines := strings.Count(log.String(), "\n")
			if tt.log == "" && lines > 0 || tt.log != "" && (lines != 1 || !strings.Contains(log.String(), tt.log) ||
				!strings.Contains(log.String(), "one")) {
				t.Errorf("got the log %q, want one line with %q and the host", log.String(), tt.log)
			}
		})
	}
}

// A running server notices another one that starts with another key, and registers again after a reload.
func TestReplicas_loop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &serverStore{}
		var plugins atomic.Value
		plugins.Store("p")
		r := newReplicas(store, core.Server{ID: "self", Keys: []string{"k"}},
			func() string { return plugins.Load().(string) }, slog.New(slog.DiscardHandler))
		if err := r.start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer r.close()
		wait := func() {
			time.Sleep(compareInterval)
			synctest.Wait()
		}
		wait()
		if err := r.check(); err != nil || store.registered != 1 {
			t.Errorf("check() = %v after %d registrations, want nil after one", err, store.registered)
		}
		store.set(func() { store.servers = append(store.servers, core.Server{ID: "other", Keys: []string{"l"}}) })
		plugins.Store("q")
		wait()
		if err := r.check(); err == nil {
			t.Error("check() = nil with another server that has another key")
		}
		if store.registered != 2 || store.servers[0].Plugins != "q" {
			t.Errorf("got %d registrations and %+v, want a new one after the reload", store.registered, store.servers[0])
		}
		store.set(func() { store.servers = store.servers[:1] })
		wait()
		if err := r.check(); err != nil {
			t.Errorf("check() = %v after the other server has ended, want nil", err)
		}
	})
}
