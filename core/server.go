package core

import (
	"context"
	"slices"
	"time"
)

// Server describes a running server: one of the replicas that use the same database. Nothing in it is secret.
type Server struct {
	// ID is the owner of the server's lease.
	ID string
	// Host is the name of the server's machine or container.
	Host string
	// Version is the version of agentarea.
	Version string
	// Keys are the ids of the secret keys, the current one first.
	Keys []string
	// Plugins is a fingerprint of plugins.hcl and of the variables in it. Fingerprints of servers with different current
	// keys cannot be compared.
	Plugins   string
	StartedAt time.Time
}

// ServerStore stores which servers use the database.
type ServerStore interface {
	// RegisterServer stores a server that holds a lease, or replaces it. It deletes servers without a lease.
	RegisterServer(ctx context.Context, s *Server) error
	// Servers returns the registered servers whose leases have not expired at now, ordered by their start time.
	Servers(ctx context.Context, now time.Time) ([]Server, error)
}

// SharesKeys reports whether each of two servers decrypts what the other one encrypts.
func (s *Server) SharesKeys(other *Server) bool {
	return len(s.Keys) > 0 && len(other.Keys) > 0 &&
		slices.Contains(s.Keys, other.Keys[0]) && slices.Contains(other.Keys, s.Keys[0])
}

// SharesPlugins reports whether two servers have the same plugins.hcl. It returns true if that is unknown.
func (s *Server) SharesPlugins(other *Server) bool {
	return s.Plugins == other.Plugins || len(s.Keys) == 0 || len(other.Keys) == 0 || s.Keys[0] != other.Keys[0]
}
