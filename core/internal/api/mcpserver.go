package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"

	"github.com/agentarea/agentarea/core"
)

const mcpServerPath = "/v1/mcp-servers/{server_id}"

func (a *api) registerMCPServers() {
	register(a, operation{
		id: "list-mcp-servers", method: http.MethodGet, path: "/v1/mcp-servers/", tag: "MCP servers", summary: "List MCP servers", access: signedIn,
		about:    "Your own and the shared ones, newest first; an admin sees all.",
		response: mcpServerList{Servers: []MCPServer{exampleMCPServer}, Paged: Paged{Total: 1, Limit: 20}}, errors: []core.Code{core.CodeValidation},
	}, a.listMCPServers)
	register(a, operation{
		id: "create-mcp-server", method: http.MethodPost, path: "/v1/mcp-servers/", tag: "MCP servers", summary: "Create an MCP server", access: writer,
		about: "It starts at once, unless auto_start is false; its status tells how that goes. A server that is reached by a url may be anybody's; " +
			"one that is a command runs on this machine, and only an admin may create or change it.",
		status: http.StatusCreated, request: exampleMCPRequest, response: exampleMCPServer, errors: []core.Code{core.CodeConflict},
	}, a.createMCPServer)
	register(a, operation{
		id: "get-mcp-server", method: http.MethodGet, path: mcpServerPath, tag: "MCP servers", summary: "Get an MCP server", access: signedIn,
		about: "Its ETag is the version that If-Match takes; how the server does is no part of it.", response: exampleMCPServer,
	}, func(ctx context.Context, in *mcpServerInput) (*mcpServerOutput, error) {
		s, err := a.mcpStore.MCPServer(ctx, actor(ctx), in.ID)
		if err != nil {
			return nil, err
		}
		return a.mcpServerReply(ctx, s), nil
	})
	changes := []core.Code{core.CodePreconditionFailed, core.CodeConflict}
	register(a, operation{
		id: "replace-mcp-server", method: http.MethodPut, path: mcpServerPath, tag: "MCP servers", summary: "Update an MCP server", access: writer,
		about: "Replaces the server: what is left out gets its default, but the slug stays. A server as GET gives it may be sent back: " +
			"a value in env or headers that is *** stays what it is. If it runs, and how to reach it has changed, it is started again.",
		request: exampleMCPReplacement, response: exampleMCPServer, errors: changes,
	}, a.replaceMCPServer)
	register(a, operation{
		id: "change-mcp-server", method: http.MethodPatch, path: mcpServerPath, tag: "MCP servers", summary: "Change parts of an MCP server", access: writer,
		about:   "Takes an RFC 7396 merge patch: what is left out stays, null takes away.",
		request: json.RawMessage(`{"shared":true,"config":{"env":{"API_KEY":"new-secret-key"}}}`), response: exampleMCPServer, errors: changes,
	}, a.changeMCPServer)
	a.alsoMergePatch(mcpServerPath)
	register(a, operation{
		id: "delete-mcp-server", method: http.MethodDelete, path: mcpServerPath, tag: "MCP servers", summary: "Delete an MCP server", access: writer,
		about: "It is stopped, and its slug is free again.", status: http.StatusNoContent, errors: []core.Code{core.CodePreconditionFailed},
	}, a.deleteMCPServer)
}

func (a *api) listMCPServers(ctx context.Context, in *mcpServersInput) (*mcpServersOutput, error) {
	found, total, err := a.mcpStore.MCPServers(ctx, actor(ctx), in.core())
	if err != nil {
		return nil, err
	}
	out := &mcpServersOutput{Body: mcpServerList{Servers: make([]MCPServer, 0, len(found)), Paged: in.reply(total)}}
	for _, s := range found {
		out.Body.Servers = append(out.Body.Servers, a.mcpServerBody(ctx, s))
	}
	return out, nil
}

func (a *api) createMCPServer(ctx context.Context, in *mcpServerCreate) (*mcpServerMade, error) {
	v := actor(ctx)
	now := time.Now().UTC().Truncate(time.Microsecond)
	s := &core.MCPServer{
		ID: core.NewID("server"), Version: 1, CreatedBy: v.UserID, CreatedAt: now, UpdatedAt: now,
		DesiredState: core.DesiredMCPState(in.Body.AutoStart == nil || *in.Body.AutoStart),
	}
	core.SetAuditTarget(ctx, s.ID)
	if err := in.Body.applyTo(s); err != nil {
		return nil, err
	}
	s, err := a.createWithSlug(ctx, v, s)
	if err != nil {
		return nil, err
	}
	out := a.mcpServerReply(ctx, s)
	return &mcpServerMade{Location: "/v1/mcp-servers/" + s.ID, ETag: out.ETag, Body: out.Body}, nil
}

// maxSlugs is how many slugs are tried for a server that was given none.
const maxSlugs = 20

// createWithSlug creates a server by its slug, or by one made from its name.
func (a *api) createWithSlug(ctx context.Context, v core.Actor, s *core.MCPServer) (*core.MCPServer, error) {
	if s.Slug != "" {
		return s, a.mcp.Create(ctx, v, s)
	}
	base := core.Slugify(s.Name)
	for n := range maxSlugs {
		made := *s
		made.Slug = numbered(base, n+1)
		if core.CheckSlug("slug", made.Slug) != nil {
			continue // it is reserved
		}
		err := a.mcp.Create(ctx, v, &made)
		if core.CodeOf(err) != core.CodeConflict {
			return &made, err
		}
	}
	return nil, core.Conflict("The slugs %q to %q are taken: give one", base, numbered(base, maxSlugs))
}

func (a *api) replaceMCPServer(ctx context.Context, in *mcpServerPut) (*mcpServerOutput, error) {
	return a.updateMCPServer(ctx, in.MCPServerMatch, func(s *core.MCPServer) error {
		b := in.Body
		r := mcpServerRequest{
			Name: b.Name, Slug: b.Slug, Description: b.Description, Transport: b.Transport, Config: b.Config, Shared: b.Shared,
		}
		if r.Slug == "" {
			r.Slug = s.Slug
		}
		return r.applyTo(s)
	})
}

func (a *api) changeMCPServer(ctx context.Context, in *mcpServerPatchInput) (*mcpServerOutput, error) {
	return a.updateMCPServer(ctx, in.MCPServerMatch, func(s *core.MCPServer) error {
		before := mcpServerRequest{
			Name: s.Name, Slug: s.Slug, Description: s.Description, Transport: s.Transport, Config: object(s.Config), Shared: s.Shared,
		}
		if t, err := transportOf(s.Config); err == nil && t == s.Transport {
			before.Transport = "" // it follows the config
		}
		now, err := json.Marshal(before)
		if err != nil {
			return fmt.Errorf("encode the MCP server: %w", err)
		}
		merged, err := jsonpatch.MergePatch(now, in.Body)
		if err != nil {
			return core.Invalid("body", "Must be a JSON merge patch")
		}
		var next mcpServerRequest
		if err := json.Unmarshal(merged, &next); err != nil {
			return core.Invalid("body", "Must be a JSON merge patch")
		}
		// Huma has checked what the patch says, but null is taken as not said.
		switch {
		case next.Name == "":
			return core.Invalid("name", "Field is required")
		case next.Slug == "":
			return core.Invalid("slug", "Field is required")
		}
		return next.applyTo(s)
	})
}

func (a *api) updateMCPServer(ctx context.Context, in MCPServerMatch, apply func(*core.MCPServer) error) (*mcpServerOutput, error) {
	v := actor(ctx)
	for try := 1; ; try++ {
		s, err := a.mcpStore.MCPServer(ctx, v, in.ID)
		if err != nil {
			return nil, err
		}
		if err := matches(in.IfMatch, "MCP server", s.Version); err != nil {
			return nil, err
		}
		before := s.Version
		if err := apply(s); err != nil {
			return nil, err
		}
		s.UpdatedAt = time.Now().UTC().Truncate(time.Microsecond)
		err = a.mcp.Update(ctx, v, s)
		if core.CodeOf(err) == core.CodePreconditionFailed && in.IfMatch == "" && try < maxRaces {
			continue
		}
		if err != nil {
			return nil, err
		}
		s.Version = before + 1
		return a.mcpServerReply(ctx, s), nil
	}
}

func (a *api) deleteMCPServer(ctx context.Context, in *MCPServerMatch) (*struct{}, error) {
	v := actor(ctx)
	var version int64
	if in.IfMatch != "" {
		s, err := a.mcpStore.MCPServer(ctx, v, in.ID)
		if err != nil {
			return nil, err
		}
		if err := matches(in.IfMatch, "MCP server", s.Version); err != nil {
			return nil, err
		}
		version = s.Version
	}
	return nil, a.mcp.Delete(ctx, v, in.ID, version)
}

func (a *api) mcpServerReply(ctx context.Context, s *core.MCPServer) *mcpServerOutput {
	return &mcpServerOutput{ETag: etag(s.Version), Body: a.mcpServerBody(ctx, s)}
}

func (a *api) mcpServerBody(ctx context.Context, s *core.MCPServer) MCPServer {
	state := a.mcp.State(s.ID)
	b := MCPServer{
		ID: s.ID, Name: s.Name, Description: s.Description, Slug: s.Slug, Status: state.Status, URL: a.mcpURLOf(ctx, s.Slug),
		Transport: s.Transport, Config: object(s.Config), Capabilities: orEmpty(s.Capabilities), Shared: s.Shared, Wanted: s.ShouldRun(),
		LastError: state.LastError, Sandbox: state.Sandbox, Restarts: state.Restarts, StartedAt: stampOrNil(state.StartedAt),
		CreatedAt: stamp(s.CreatedAt), UpdatedAt: stamp(s.UpdatedAt), CreatedBy: s.CreatedBy,
	}
	if actor(ctx).Admin() {
		b.PID = state.PID
	}
	return b
}

// mcpURLOf is where MCP clients reach a server; where nothing says under what
// name, it is the one that this request came by.
func (a *api) mcpURLOf(ctx context.Context, slug string) string {
	base := a.mcpURL
	if base == "" {
		base = requestOf(ctx).origin()
	}
	return base + "/mcp/" + slug + "/mcp/"
}
