package mcp

import (
	"context"
	"fmt"

	"github.com/agentarea/agentarea/core"
)

// anybody sees every server: what runs is what is stored, whoever's it is.
var anybody = core.Actor{Role: core.RoleAdmin}

// Create implements core.MCPServers.
func (s *Servers) Create(ctx context.Context, v core.Actor, m *core.MCPServer) error {
	return s.keep(ctx, v, m, secrets{}, s.Store.CreateMCPServer)
}

// Update implements core.MCPServers.
func (s *Servers) Update(ctx context.Context, v core.Actor, m *core.MCPServer) error {
	stored, err := s.Store.MCPServer(ctx, v, m.ID)
	if err != nil {
		return err
	}
	if !stored.ChangeableBy(v) {
		return core.Forbidden("Only who made the MCP server, or an admin, may change it")
	}
	if stored.Version != m.Version {
		return &core.Error{Code: core.CodePreconditionFailed, Message: "The MCP server was changed meanwhile: read it again"}
	}
	old, err := s.unseal(stored)
	if err != nil {
		// All values may be given anew; those that are masked are then missing.
		s.Logger.WarnContext(ctx, "MCP server's secrets can't be read", "server_id", m.ID, "error", err)
		old = secrets{}
	}
	return s.keep(ctx, v, m, old, s.Store.UpdateMCPServer)
}

// keep checks a server, stores it and makes it so. Where it fails, m is as it was,
// for another try.
func (s *Servers) keep(
	ctx context.Context, v core.Actor, m *core.MCPServer, old secrets,
	store func(context.Context, core.Actor, *core.MCPServer, bool) error,
) error {
	config, sealed := m.Config, m.Secrets
	process, err := s.prepare(ctx, v, m, old)
	if err == nil {
		err = store(ctx, v, m, process)
	}
	if err != nil {
		m.Config, m.Secrets = config, sealed
		return err
	}
	// Who makes the platform run what is on record before it does.
	s.Logger.InfoContext(ctx, "MCP server stored", "server_id", m.ID, "slug", m.Slug, "user_id", v.UserID,
		"transport", m.Transport, "process", process, "config", string(m.Config))
	return s.follow(ctx, m.ID, false)
}

// Delete implements core.MCPServers.
func (s *Servers) Delete(ctx context.Context, v core.Actor, id string, version int64) error {
	if err := s.Store.DeleteMCPServer(ctx, v, id, version); err != nil {
		return err
	}
	return s.follow(ctx, id, false)
}

// Start implements core.MCPServers. A server that waits for its next try has it now.
func (s *Servers) Start(ctx context.Context, v core.Actor, id string) error {
	if err := s.Store.SetDesiredState(ctx, v, id, core.MCPDesiredRunning); err != nil {
		return err
	}
	return s.follow(ctx, id, s.State(id).Status == core.MCPError)
}

// Stop implements core.MCPServers.
func (s *Servers) Stop(ctx context.Context, v core.Actor, id string) error {
	if err := s.Store.SetDesiredState(ctx, v, id, core.MCPDesiredStopped); err != nil {
		return err
	}
	return s.follow(ctx, id, false)
}

// Restart implements core.MCPServers.
func (s *Servers) Restart(ctx context.Context, v core.Actor, id string) error {
	if err := s.Store.SetDesiredState(ctx, v, id, core.MCPDesiredRunning); err != nil {
		return err
	}
	return s.follow(ctx, id, true)
}

// follow reads what is stored of a server and makes it so. again starts a server
// anew that is reached as before. What was stored is followed even if the caller
// goes away.
func (s *Servers) follow(ctx context.Context, id string, again bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Times.Store)
	defer cancel()
	v := s.server(id, true)
	v.following.Lock()
	defer v.following.Unlock()
	stored, err := s.Store.MCPServer(ctx, anybody, id)
	if core.CodeOf(err) == core.CodeNotFound {
		s.forget(v)
		return nil
	}
	if err != nil {
		return fmt.Errorf("read MCP server %s: %w", id, err)
	}
	if !stored.ShouldRun() {
		v.want(nil, false)
		return nil
	}
	t, err := s.target(stored)
	if err != nil {
		s.Logger.ErrorContext(ctx, "MCP server can't be started", "server_id", id, "error", err)
		v.fail("its secrets can't be read: they were encrypted with another key, so give them anew")
		return nil
	}
	v.want(t, again)
	return nil
}

// forget ends a server that was deleted, and its log.
func (s *Servers) forget(v *server) {
	v.want(nil, false)
	v.log.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known[v.id] == v {
		delete(s.known, v.id)
	}
}
