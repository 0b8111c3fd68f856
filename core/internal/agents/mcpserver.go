package agents

import (
	"context"
	"fmt"
	"slices"

	"github.com/agentarea/agentarea/core"
)

// MCPServers finds MCP servers. Both methods fail with NotFound if the actor may not see the server.
type MCPServers interface {
	MCPServer(ctx context.Context, actor core.Actor, id string) (*core.MCPServer, error)
	MCPServerBySlug(ctx context.Context, actor core.Actor, slug string) (*core.MCPServer, error)
}

// resolveServers returns the MCP servers that a config names by slug. It resolves the slugs as the owner
// of the agent with a member's rights, whoever changes the agent: the owner's servers and shared ones. It
// fails with Invalid for an unknown slug.
//
// old are the servers of the stored agent. A slug that no server has anymore keeps the server that it
// named before, so that a server can be renamed. If the config is unchanged, resolveServers accepts
// unknown slugs, so that an agent whose server was deleted can still be renamed or deactivated.
func (s *Service) resolveServers(
	ctx context.Context, owner string, slugs []string, old []core.MCPServerRef, unchanged bool,
) ([]core.MCPServerRef, error) {
	actor := core.Actor{UserID: owner, Role: core.RoleMember}
	var refs []core.MCPServerRef
	for i, slug := range slugs {
		if slices.Contains(slugs[:i], slug) {
			continue
		}
		ref := core.MCPServerRef{Slug: slug}
		if j := slices.IndexFunc(old, func(r core.MCPServerRef) bool { return r.Slug == slug }); j >= 0 {
			ref = old[j]
		}
		id, err := s.resolveServer(ctx, actor, ref)
		switch {
		case err == nil:
			ref.ID = id
		case core.CodeOf(err) != core.CodeNotFound:
			return nil, err
		case !unchanged:
			return nil, core.Invalid(fmt.Sprintf("config.mcp_servers[%d]", i),
				"MCP server %q does not exist. Name a server of the agent's owner, or a shared one.", slug)
		}
		refs = append(refs, ref)
	}
	return refs, nil
}

// resolveServer returns the id of the server that the actor can see by the slug, or else by the id of ref.
// It fails with NotFound.
func (s *Service) resolveServer(ctx context.Context, actor core.Actor, ref core.MCPServerRef) (string, error) {
	found, err := s.servers.MCPServerBySlug(ctx, actor, ref.Slug)
	if core.CodeOf(err) == core.CodeNotFound && ref.ID != "" {
		found, err = s.servers.MCPServer(ctx, actor, ref.ID)
	}
	if err != nil {
		return "", err
	}
	return found.ID, nil
}
