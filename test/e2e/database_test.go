package e2e_test

import (
	"testing"

	"github.com/agentarea/agentarea/test/pgtest"
)

// onBoth runs a test on each of the databases. on makes a server use it.
func onBoth(t *testing.T, test func(t *testing.T, on func(*server) *server)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, func(s *server) *server { return s })
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		url := pgtest.Start(t)
		test(t, func(s *server) *server { return s.at(url) })
	})
}

// at has a server that does not run yet use a database.
func (s *server) at(url string) *server {
	s.env = append(s.env, "AGENTAREA_DATABASE_URL="+url)
	return s
}

// startAt starts a server on a database.
func startAt(t *testing.T, on func(*server) *server) *server {
	t.Helper()
	s := on(newServer(t, ""))
	s.start()
	return s
}
