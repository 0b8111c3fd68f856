package agents

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
)

// warningTimeout is the maximum time that a reply waits for the tools of an agent's MCP servers.
const warningTimeout = 2 * time.Second

// MCPTools knows the tools of running MCP servers.
type MCPTools interface {
	// ToolNames returns all names that a pattern in the config of an agent can match, for the tools of a server
	// that the config names by slug. It waits briefly for a server that is starting. It fails with Unavailable
	// or Upstream.
	ToolNames(ctx context.Context, m *core.MCPServer, slug string) ([]string, error)
}

// fileTools are the tools for files, which an agent has if its config names them.
var fileTools = []string{core.FileToolPrefix + "list", core.FileToolPrefix + "read", core.FileToolPrefix + "write"}

// usedServer is an MCP server in the config of an agent.
type usedServer struct {
	field, slug string
	// names are the names of the server's tools. They are nil if issue is not empty.
	names []string
	issue string
}

// warnings returns what does not work in runs of a stored agent: MCP servers that are not available, and tool
// patterns that match nothing.
func (s *Service) warnings(ctx context.Context, a *core.Agent) []core.FieldError {
	config, err := core.ParseAgentConfig(a.Config)
	if err != nil || s.tools == nil || len(config.MCPServers)+len(config.Tools) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, warningTimeout)
	defer cancel()
	servers := s.usedServers(ctx, a, config.MCPServers)
	var found []core.FieldError
	for _, u := range servers {
		if u.issue != "" {
			found = append(found, core.FieldError{Field: u.field, Issue: u.issue})
		}
	}
	for i, pattern := range config.Tools {
		if !mayMatch(pattern, servers) {
			found = append(found, core.FieldError{
				Field: fmt.Sprintf("config.tools[%d]", i),
				Issue: fmt.Sprintf("%q matches no tool of the agent's MCP servers. Write slug__tool, or a pattern such as "+
					"slug__*; GET /v1/mcp-servers/{server_id}/tools lists the tools of a server.", pattern),
			})
		}
	}
	return found
}

// usedServers asks the MCP servers that a config names for their tools, concurrently.
func (s *Service) usedServers(ctx context.Context, a *core.Agent, slugs []string) []usedServer {
	var servers []usedServer
	var all sync.WaitGroup
	for i, slug := range slugs {
		if !slices.Contains(slugs[:i], slug) {
			servers = append(servers, usedServer{field: fmt.Sprintf("config.mcp_servers[%d]", i), slug: slug})
		}
	}
	for i := range servers {
		all.Go(func() { s.ask(ctx, a, &servers[i]) })
	}
	all.Wait()
	return servers
}

// ask sets the names of the tools of a server, or what is wrong with the server.
func (s *Service) ask(ctx context.Context, a *core.Agent, u *usedServer) {
	i := slices.IndexFunc(a.MCPServers, func(r core.MCPServerRef) bool { return r.Slug == u.slug })
	err := error(core.NotFound("MCP server", u.slug))
	var m *core.MCPServer
	if i >= 0 && a.MCPServers[i].ID != "" {
		m, err = s.servers.MCPServer(ctx, core.Actor{UserID: a.CreatedBy, Role: core.RoleMember}, a.MCPServers[i].ID)
	}
	if err == nil {
		u.names, err = s.tools.ToolNames(ctx, m, u.slug)
	}
	var public *core.Error
	switch {
	case err == nil && a.Shared && !m.Shared && !m.ShareCredentials:
		u.issue = fmt.Sprintf("MCP server %q is private, so runs of other users fail. Share the server, or set its "+
			"share_credentials.", u.slug)
	case err == nil:
	case core.CodeOf(err) == core.CodeNotFound:
		u.issue = fmt.Sprintf("MCP server %q does not exist anymore, or is not shared anymore, so runs fail. Remove it from "+
			"mcp_servers.", u.slug)
	case errors.Is(err, context.DeadlineExceeded):
		u.issue = fmt.Sprintf("MCP server %q is not ready yet. Runs do not get its tools before it is running.", u.slug)
	case core.CodeOf(err) == core.CodeUnavailable:
		u.issue = fmt.Sprintf("MCP server %q is not running, so runs do not get its tools. Start it; its last_error says why "+
			"it has failed.", u.slug)
	case errors.As(err, &public):
		u.issue = public.Message + " Runs do not get its tools."
	default:
		u.issue = fmt.Sprintf("MCP server %q could not be checked.", u.slug)
	}
}

// mayMatch reports whether a pattern matches a tool of the servers, or may match one of a server whose tools are
// unknown.
func mayMatch(pattern string, servers []usedServer) bool {
	matches := func(name string) bool { return core.MatchGlob(pattern, name) }
	if slices.ContainsFunc(fileTools, matches) {
		return true
	}
	slug, _, qualified := strings.Cut(pattern, "__")
	isPattern := !qualified || strings.ContainsAny(slug, `*?[\`)
	return slices.ContainsFunc(servers, func(u usedServer) bool {
		unknown := u.names == nil && u.issue != ""
		return unknown && (isPattern || slug == u.slug) || slices.ContainsFunc(u.names, matches)
	})
}
