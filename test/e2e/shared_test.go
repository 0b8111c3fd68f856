package e2e_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/agentarea/agentarea/test/pgtest"
)

// sharedServer is a server with the built-in plugins.hcl that many tests use at the same time.
type sharedServer struct {
	once   sync.Once
	server *server
	admin  string // the admin's access token
	drop   func() // removes the database
}

var sharedServers struct {
	sqlite, postgres sharedServer
	addresses        atomic.Int64
}

// shared returns the server that tests share, on SQLite. A test that uses it may not stop the
// server, kill its plugins, change its settings, or expect to be alone on it. A test that counts
// objects uses a new user, who sees no others.
func shared(t *testing.T) *server {
	t.Helper()
	return sharedServers.sqlite.use(t, func() (string, func()) { return "", func() {} })
}

// onBothShared runs a test on a shared server of each database.
func onBothShared(t *testing.T, test func(t *testing.T, s *server)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, shared(t))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		pgtest.Require(t)
		test(t, sharedServers.postgres.use(t, func() (string, func()) { return pgtest.Create(t) }))
	})
}

func (h *sharedServer) use(t *testing.T, database func() (url string, drop func())) *server {
	t.Helper()
	h.once.Do(func() { h.start(t, database) })
	if h.server == nil {
		t.Fatal("the shared server did not start: the first test that uses it has the reason")
	}
	s := *h.server
	s.t = t
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of the shared server:\n%s", s.stderr.tail())
		}
	})
	return &s
}

func (h *sharedServer) start(t *testing.T, database func() (url string, drop func())) {
	t.Helper()
	url, drop := database()
	dir, err := os.MkdirTemp("", "e2e-")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, "")
	s.dir, s.shared = dir, h
	// Sign-ins are limited by address, so each comes from another one.
	s.env = append(s.env, "AGENTAREA_TRUSTED_PROXIES=127.0.0.1")
	if url != "" {
		s.at(url)
	}
	h.drop = drop
	s.start()
	h.admin = s.signInAs("admin", adminPassword).token
	h.server = s
}

// stopShared ends the shared servers and returns the problems that it finds.
func stopShared() (problems []string) {
	for _, h := range []*sharedServer{&sharedServers.sqlite, &sharedServers.postgres} {
		s := h.server
		if s == nil {
			continue
		}
		select {
		case <-s.exited:
			problems = append(problems, "the shared server has ended during the tests:\n"+s.stderr.tail())
		default:
		}
		s.kill()
		if bad := s.badLog(); bad != "" {
			problems = append(problems, "the log of the shared server has:\n"+bad)
		}
		h.drop()
		_ = os.RemoveAll(s.dir)
	}
	return problems
}

// nextAddress returns an address that no sign-in has come from.
func nextAddress() string {
	n := sharedServers.addresses.Add(1)
	return fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255)
}

// uniqueName returns name with a number on a shared server, and name itself on any other.
func (s *server) uniqueName(name string) string {
	if s.shared == nil {
		return name
	}
	return name + "-" + strings.ReplaceAll(nextAddress(), ".", "-")
}

// newMember adds a user with the role member, who has no objects yet, and signs them in.
func (s *server) newMember() *client {
	s.t.Helper()
	return s.newUser(s.signIn(), "member", "member")
}
