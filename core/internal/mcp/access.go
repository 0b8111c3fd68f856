package mcp

import (
	"context"
	"fmt"
	"slices"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

// process reports whether a transport runs programs on this machine.
func (s *Servers) process(label string) bool {
	capabilities, _ := s.Transports.MCPTransportCapabilities(label)
	return slices.Contains(capabilities, mcptransport.CapabilityProcess)
}

// unguarded reports whether a transport connects to any address: it does not declare that it guards the server's
// network, and it does not run programs either. Only admins may use it. It returns false for a plugin that has not
// started yet, whose servers cannot run: connect checks the creator again, and checkStarted the caller.
func (s *Servers) unguarded(label string) bool {
	capabilities, started := s.Transports.MCPTransportCapabilities(label)
	return started && !slices.Contains(capabilities, mcptransport.CapabilityProcess) &&
		!slices.Contains(capabilities, mcptransport.CapabilityGuardedNetwork)
}

// adminsOnly is the text of an error about an unguarded transport.
func adminsOnly(label string) string {
	return fmt.Sprintf("Only admins can use the MCP transport %q, because its plugin does not declare that it guards the "+
		"server's network (capability %s).", label, mcptransport.CapabilityGuardedNetwork)
}

// checkActor returns Forbidden if the actor may not use servers of the transport.
func (s *Servers) checkActor(actor core.Actor, label string) error {
	if actor.Admin() || !s.unguarded(label) {
		return nil
	}
	return core.Forbidden(adminsOnly(label) + " Use an MCP server with another transport.")
}

// checkStarted does what checkActor does, but waits until the plugin has started. Otherwise a member could open a
// connection to a server that is starting with its plugin.
func (s *Servers) checkStarted(ctx context.Context, actor core.Actor, label string) error {
	if _, started := s.Transports.MCPTransportCapabilities(label); started || actor.Admin() {
		return s.checkActor(actor, label)
	}
	if _, err := s.Transports.MCPTransport(ctx, label); err != nil {
		return err
	}
	return s.checkActor(actor, label)
}

// usableBy reports whether all users may use servers of the transport. It reads the users only if the transport is
// unguarded.
func (s *Servers) usableBy(ctx context.Context, label string, userIDs ...string) (bool, error) {
	if !s.unguarded(label) {
		return true, nil
	}
	for _, id := range userIDs {
		u, err := s.Users.User(ctx, id)
		switch {
		case core.CodeOf(err) == core.CodeNotFound:
			return false, nil
		case err != nil:
			return false, err
		case u.Role != core.RoleAdmin:
			return false, nil
		}
	}
	return true, nil
}
