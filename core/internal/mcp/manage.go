package mcp

import (
	"context"
	"fmt"

	"github.com/agentarea/agentarea/core"
)

// systemActor can see every server.
var systemActor = core.Actor{Role: core.RoleAdmin}

// Create implements core.MCPServers.
func (s *Servers) Create(
	ctx context.Context, audit *core.AuditRecord, actor core.Actor, m *core.MCPServer, config core.MCPConfig,
) error {
	config, err := config.Merge(core.MCPSecrets{}, true)
	if err != nil {
		return err
	}
	return s.save(ctx, audit, actor, m, config, s.Store.CreateMCPServer)
}

// Update implements core.MCPServers.
func (s *Servers) Update(
	ctx context.Context, audit *core.AuditRecord, actor core.Actor, m *core.MCPServer, config core.MCPConfig,
) error {
	stored, err := s.Store.MCPServer(ctx, actor, m.ID)
	if err != nil {
		return err
	}
	if !stored.ChangeableBy(actor) {
		return core.Forbidden("Only the user who created the MCP server or an admin can change it.").
			WithObject("MCP server", m.ID)
	}
	if stored.Version != m.Version {
		return &core.Error{
			Code:    core.CodePreconditionFailed,
			Message: "The MCP server has changed since it was read. Read it again and repeat the update.",
			Object:  &core.ObjectRef{Noun: "MCP server", ID: m.ID},
		}
	}
	old, err := s.decryptSecrets(stored)
	if err != nil {
		// The update may replace all values. A masked value then fails as missing.
		s.Logger.WarnContext(ctx, "decrypting MCP server secrets failed", "server_id", m.ID, "error", err)
		old = core.MCPSecrets{}
	}
	if config, err = config.Merge(old, sameTarget(stored, m, config)); err != nil {
		return err
	}
	return s.save(ctx, audit, actor, m, config, s.Store.UpdateMCPServer)
}

// sameTarget reports whether an update of a stored server keeps the program or host that receives its
// secrets.
func sameTarget(stored, m *core.MCPServer, config core.MCPConfig) bool {
	old, err := core.ParseMCPConfig(stored.Config)
	return err == nil && m.Transport == stored.Transport && config.SameTarget(old)
}

// save validates a server, stores it and applies it. If it fails, m is unchanged, so that the
// caller can try again.
func (s *Servers) save(
	ctx context.Context, audit *core.AuditRecord, actor core.Actor, m *core.MCPServer, config core.MCPConfig,
	store func(context.Context, *core.AuditRecord, core.Actor, *core.MCPServer, bool) error,
) error {
	adminOnly, err := s.check(ctx, actor, m, config)
	if err != nil {
		return err
	}
	saved := *m
	saved.Config = config.Masked().JSON()
	if saved.Secrets, err = s.encryptSecrets(m.ID, config.Secrets); err != nil {
		return err
	}
	if err := store(ctx, audit, actor, &saved, adminOnly); err != nil {
		return err
	}
	*m = saved
	// The log must name the user before the server runs the command.
	s.Logger.InfoContext(ctx, "stored MCP server", "server_id", m.ID, "slug", m.Slug, "user_id", actor.UserID,
		"transport", m.Transport, "process", s.process(m.Transport), "config", string(m.Config))
	return s.reconcile(ctx, m.ID, false)
}

// Delete implements core.MCPServers.
func (s *Servers) Delete(
	ctx context.Context, audit *core.AuditRecord, actor core.Actor, id string, d core.MCPServerDeletion,
) error {
	if err := s.Store.DeleteMCPServer(ctx, audit, actor, id, d); err != nil {
		return err
	}
	return s.reconcile(ctx, id, false)
}

// Start implements core.MCPServers. It ends the backoff delay of a failed server.
func (s *Servers) Start(ctx context.Context, audit *core.AuditRecord, actor core.Actor, id string) error {
	if err := s.checkStart(ctx, actor, id); err != nil {
		return err
	}
	if err := s.Store.SetDesiredState(ctx, audit, actor, id, core.MCPDesiredRunning); err != nil {
		return err
	}
	return s.reconcile(ctx, id, s.State(id).Status == core.MCPError)
}

// checkStart returns NotFound if the actor cannot see the server, and Forbidden if it may not use its transport.
func (s *Servers) checkStart(ctx context.Context, actor core.Actor, id string) error {
	stored, err := s.Store.MCPServer(ctx, actor, id)
	if err != nil {
		return err
	}
	return s.checkActor(actor, stored.Transport)
}

// Stop implements core.MCPServers.
func (s *Servers) Stop(ctx context.Context, audit *core.AuditRecord, actor core.Actor, id string) error {
	if err := s.Store.SetDesiredState(ctx, audit, actor, id, core.MCPDesiredStopped); err != nil {
		return err
	}
	return s.reconcile(ctx, id, false)
}

// Restart implements core.MCPServers.
func (s *Servers) Restart(ctx context.Context, audit *core.AuditRecord, actor core.Actor, id string) error {
	if err := s.checkStart(ctx, actor, id); err != nil {
		return err
	}
	if err := s.Store.SetDesiredState(ctx, audit, actor, id, core.MCPDesiredRunning); err != nil {
		return err
	}
	return s.reconcile(ctx, id, true)
}

// reconcile reads a stored server and starts, changes or stops it accordingly. restart
// restarts a server whose endpoint is unchanged. The end of ctx does not interrupt it.
func (s *Servers) reconcile(ctx context.Context, id string, restart bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Times.Store)
	defer cancel()
	v := s.server(id, true)
	v.reconciling.Lock()
	defer v.reconciling.Unlock()
	stored, err := s.Store.MCPServer(ctx, systemActor, id)
	if core.CodeOf(err) == core.CodeNotFound {
		s.remove(v)
		return nil
	}
	if err != nil {
		return fmt.Errorf("read MCP server %s: %w", id, err)
	}
	if !stored.ShouldRun() {
		v.setDesired(nil, false)
		return nil
	}
	e, err := s.endpoint(stored)
	if err != nil {
		s.Logger.ErrorContext(ctx, "starting MCP server failed", "server_id", id, "error", err)
		v.setStartError("its secrets were encrypted with another key and cannot be read; enter them again")
		return nil
	}
	v.setDesired(e, restart)
	return nil
}

// remove stops a deleted server and closes its log.
func (s *Servers) remove(v *server) {
	v.setDesired(nil, false)
	v.log.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.servers[v.id] == v {
		delete(s.servers, v.id)
	}
}
