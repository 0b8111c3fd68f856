package userdata

import (
	"context"
	"fmt"
	"time"

	"github.com/agentarea/agentarea/core"
)

// sessionBatch is the number of sessions that one transaction deletes, so that other writes do not wait long.
const sessionBatch = 5

// Servers deletes MCP servers. core.MCPServers documents its method.
type Servers interface {
	Delete(ctx context.Context, audit *core.AuditRecord, actor core.Actor, id string, d core.MCPServerDeletion) error
}

// Files reads the content of files and deletes blobs without a file.
type Files interface {
	Content
	// Sweep starts the deletion of pending blobs that are due. It does not wait for it.
	Sweep()
}

// Options are the dependencies of a Service.
type Options struct {
	Store     core.UserDataStore
	FileStore FileStore
	Servers   Servers
	Files     Files
	// Forget removes cached logins, so that a deleted user is signed out at once on this server.
	Forget func()
}

// Service deletes and exports users. Its methods may be called concurrently.
type Service struct{ opts Options }

// New returns a Service.
func New(o Options) *Service { return &Service{o} }

// DeleteUser deletes a user. The user's objects get the owner to, or are erased if to is empty. The user is
// disabled first. If DeleteUser fails afterwards, the user stays disabled, a part of the objects may be erased,
// and the call can be repeated. It fails with NotFound, Invalid or Conflict as core.UserDataStore does.
func (s *Service) DeleteUser(
	ctx context.Context, audit *core.AuditRecord, actor core.Actor, userID, to string,
) error {
	d := core.UserDeletion{UserID: userID, TransferTo: to, At: time.Now().UTC().Truncate(time.Microsecond)}
	err := s.opts.Store.BeginUserDeletion(ctx, d)
	s.opts.Forget()
	if err != nil {
		return err
	}
	// The end of the request must not leave the user half deleted.
	ctx = context.WithoutCancel(ctx)
	if to == "" {
		if err := s.erase(ctx, actor, userID); err != nil {
			return err
		}
	}
	if err := s.opts.Store.FinishUserDeletion(ctx, audit, d); err != nil {
		return err
	}
	s.opts.Forget()
	s.opts.Files.Sweep()
	return nil
}

// erase deletes the sessions and MCP servers of the user. Its deletions are part of the deletion of the user and
// have no audit records of their own.
func (s *Service) erase(ctx context.Context, actor core.Actor, userID string) error {
	for {
		n, err := s.opts.Store.EraseUserSessions(ctx, userID, sessionBatch)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
	}
	ids, err := s.opts.Store.MCPServerIDs(ctx, userID)
	if err != nil {
		return err
	}
	for _, id := range ids {
		err := s.opts.Servers.Delete(ctx, nil, actor, id, core.MCPServerDeletion{Force: true})
		if err != nil && core.CodeOf(err) != core.CodeNotFound {
			return fmt.Errorf("delete MCP server %s of the user: %w", id, err)
		}
	}
	return nil
}
