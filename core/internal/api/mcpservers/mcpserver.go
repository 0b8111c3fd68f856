// Package mcpservers serves MCP servers: their definitions, their state, their tools and their logs. It
// also mounts the gateway for MCP clients.
package mcpservers

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

const (
	listPath   = "/v1/mcp-servers/"
	serverPath = "/v1/mcp-servers/{server_id}"
)

// Store reads MCP servers.
type Store interface {
	// MCPServer fails with NotFound if the actor may not see the server.
	MCPServer(ctx context.Context, v core.Actor, id string) (*core.MCPServer, error)
	// MCPServers returns a page of servers, newest first, and the total number of servers.
	MCPServers(ctx context.Context, v core.Actor, p core.Page) ([]*core.MCPServer, int, error)
}

// Manager changes MCP servers. A config contains secrets in plain text; Create and Update set s.Config to
// the masked config.
type Manager interface {
	// Create fails with Invalid, Forbidden or Conflict.
	Create(ctx context.Context, audit *core.AuditRecord, v core.Actor, s *core.MCPServer, config core.MCPConfig) error
	// Update fails as Create does, or with NotFound or PreconditionFailed. A secret that is core.Masked
	// keeps its value.
	Update(ctx context.Context, audit *core.AuditRecord, v core.Actor, s *core.MCPServer, config core.MCPConfig) error
	// Delete fails with NotFound, Forbidden or PreconditionFailed, or with Conflict if agents use the server.
	Delete(ctx context.Context, audit *core.AuditRecord, v core.Actor, id string, d core.MCPServerDeletion) error
}

// Controller starts and stops MCP servers. Its methods return before the server is running or stopped,
// and fail with NotFound or Forbidden.
type Controller interface {
	Start(ctx context.Context, audit *core.AuditRecord, v core.Actor, id string) error
	Stop(ctx context.Context, audit *core.AuditRecord, v core.Actor, id string) error
	Restart(ctx context.Context, audit *core.AuditRecord, v core.Actor, id string) error
}

// Options are the dependencies of the group.
type Options struct {
	Store      Store
	Manager    Manager
	Controller Controller
	Inspector  Inspector
	// URL is the URL at which MCP clients reach the gateway, without /mcp/. If it is empty, it is the
	// URL of the request.
	URL string
}

type handlers struct {
	Options
	api *api.API
}

// Register adds the operations of the group.
func Register(a *api.API, o Options) {
	o.URL = strings.TrimSuffix(o.URL, "/")
	h := &handlers{Options: o, api: a}
	api.Register(a, api.Operation{
		ID: "list-mcp-servers", Method: http.MethodGet, Path: listPath,
		Tag: "MCP servers", Summary: "List MCP servers", Access: api.SignedIn,
		Description: "Your own and the shared servers, newest first. An admin sees all servers.",
		Response:    mcpServerList{Servers: []MCPServer{exampleMCPServer}, Paged: api.Paged{Total: 1, Limit: 100}},
		Errors:      []core.Code{core.CodeValidation},
		Large:       true,
	}, h.list)
	api.RegisterRepeatable(a, api.Operation{
		ID: "create-mcp-server", Method: http.MethodPost, Path: listPath,
		Tag: "MCP servers", Summary: "Create an MCP server", Access: api.Writer,
		Description: "Starts the server immediately, unless auto_start is false; its status shows the progress. Every user " +
			"can create a server that is reached by URL. A server that is a command runs on this machine; only an admin can " +
			"create or change it. Only admins can use transports of third parties that do not declare that they guard the " +
			"network.",
		Status: http.StatusCreated, Request: exampleMCPRequest,
		Response: exampleMCPServer, Errors: []core.Code{core.CodeConflict},
	}, h.create, func(ctx context.Context, _ *mcpServerCreate, id string) (*mcpServerMade, error) {
		s, err := h.Store.MCPServer(ctx, api.Actor(ctx), id)
		if err != nil {
			return nil, err
		}
		return h.made(ctx, s), nil
	})
	api.Register(a, api.Operation{
		ID: "get-mcp-server", Method: http.MethodGet, Path: serverPath,
		Tag: "MCP servers", Summary: "Get an MCP server", Access: api.SignedIn,
		Description: "The ETag of the reply is for If-Match, which compares only the version in it and not the server's " +
			"status, and for If-None-Match.",
		Response: exampleMCPServer, Large: true,
	}, h.get)
	changes := []core.Code{core.CodePreconditionFailed, core.CodeConflict}
	api.Register(a, api.Operation{
		ID: "replace-mcp-server", Method: http.MethodPut, Path: serverPath,
		Tag: "MCP servers", Summary: "Update an MCP server", Access: api.Writer,
		Description: "Replaces the server. Omitted fields get their default values, except for the slug, which stays. " +
			"Accepts a server as GET returns it: a value of *** in env or headers keeps the stored value, unless the " +
			"transport, the command, or the scheme, host or port of the url changes. A running server is restarted if its " +
			"connection settings have changed.",
		Request: exampleMCPReplacement, Response: exampleMCPServer, Errors: changes,
	}, h.replace)
	api.Register(a, api.Operation{
		ID: "change-mcp-server", Method: http.MethodPatch, Path: serverPath,
		Tag: "MCP servers", Summary: "Change parts of an MCP server", Access: api.Writer,
		Description: "Applies an RFC 7396 merge patch: omitted fields keep their value, null removes a field.",
		Request:     json.RawMessage(`{"shared":true,"config":{"env":{"API_KEY":"new-secret-key"}}}`), MergePatch: true,
		Response: exampleMCPServer, Errors: changes, Large: true,
	}, h.change)
	api.Register(a, api.Operation{
		ID: "delete-mcp-server", Method: http.MethodDelete, Path: serverPath,
		Tag: "MCP servers", Summary: "Delete an MCP server", Access: api.Writer,
		Description: "Stops the server. Its slug stays reserved for the user who created it. 409 if agents use the server: the " +
			"error names those that you can see. With force=true the server is deleted anyway, and runs of these agents fail.",
		Status: http.StatusNoContent, Errors: []core.Code{core.CodePreconditionFailed, core.CodeConflict},
	}, h.delete)
	registerActions(h)
	registerTools(h)
	registerLogs(h)
}

func (h *handlers) list(ctx context.Context, in *mcpServersInput) (*mcpServersOutput, error) {
	found, paged, err := api.ReadPage(ctx, in.Limit, in.Paging, func(p core.Page) ([]*core.MCPServer, int, error) {
		return h.Store.MCPServers(ctx, api.Actor(ctx), p)
	}, func(s *core.MCPServer) core.PageKey { return api.Newest(s.CreatedAt, s.ID) })
	if err != nil {
		return nil, err
	}
	out := &mcpServersOutput{Body: mcpServerList{Servers: make([]MCPServer, 0, len(found)), Paged: paged}}
	for _, s := range found {
		out.Body.Servers = append(out.Body.Servers, h.body(ctx, s))
	}
	return out, nil
}

func (h *handlers) create(ctx context.Context, in *mcpServerCreate) (*mcpServerMade, error) {
	v := api.Actor(ctx)
	now := time.Now().UTC().Truncate(time.Microsecond)
	s := &core.MCPServer{
		ID: core.NewID("server"), Version: 1, CreatedBy: v.UserID, CreatedAt: now, UpdatedAt: now,
		DesiredState: core.DesiredMCPState(in.Body.AutoStart == nil || *in.Body.AutoStart),
	}
	api.Audit(ctx).SetTarget(s.ID)
	config, err := in.Body.applyTo(s)
	if err != nil {
		return nil, err
	}
	if s, err = h.createWithSlug(ctx, v, s, config); err != nil {
		return nil, err
	}
	return h.made(ctx, s), nil
}

func (h *handlers) made(ctx context.Context, s *core.MCPServer) *mcpServerMade {
	return &mcpServerMade{Location: listPath + s.ID, ETag: api.ETag(s.Version), Body: h.body(ctx, s)}
}

// maxSlugTries is the number of slugs that are tried for a server without a given slug.
const maxSlugTries = 20

// createWithSlug creates a server with its slug, or with a free one that is derived from its name.
func (h *handlers) createWithSlug(
	ctx context.Context, v core.Actor, s *core.MCPServer, config core.MCPConfig,
) (*core.MCPServer, error) {
	if s.Slug != "" {
		return s, h.Manager.Create(ctx, api.Audit(ctx), v, s, config)
	}
	base := core.Slugify(s.Name)
	for n := range maxSlugTries {
		created := *s
		created.Slug = numberedSlug(base, n+1)
		if core.CheckSlug("slug", created.Slug) != nil {
			continue // it is reserved
		}
		err := h.Manager.Create(ctx, api.Audit(ctx), v, &created, config)
		if core.CodeOf(err) != core.CodeConflict {
			return &created, err
		}
	}
	return nil, core.Conflict("The slugs %q to %q are taken. Choose another slug.", base,
		numberedSlug(base, maxSlugTries)).WithField("slug")
}

// maxSlugBase is the length to which a slug is cut before a number is appended.
const maxSlugBase = 37

// numberedSlug returns the nth slug to try: my-server, my-server-2, and so on.
func numberedSlug(base string, n int) string {
	if n == 1 {
		return base
	}
	return strings.TrimRight(base[:min(len(base), maxSlugBase)], "-") + "-" + strconv.Itoa(n)
}

func (h *handlers) get(ctx context.Context, in *mcpServerInput) (*mcpServerOutput, error) {
	s, err := h.Store.MCPServer(ctx, api.Actor(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	return h.output(ctx, s), nil
}

func (h *handlers) replace(ctx context.Context, in *mcpServerPut) (*mcpServerOutput, error) {
	return h.update(ctx, in.MCPServerMatch, func(s *core.MCPServer) (core.MCPConfig, error) {
		b := in.Body
		r := mcpServerRequest{
			Name: b.Name, Slug: b.Slug, Description: b.Description, Transport: b.Transport, Config: b.Config, Shared: b.Shared,
			ShareCredentials: b.ShareCredentials,
		}
		if r.Slug == "" {
			r.Slug = s.Slug
		}
		return r.applyTo(s)
	})
}

func (h *handlers) change(ctx context.Context, in *mcpServerPatchInput) (*mcpServerOutput, error) {
	return h.update(ctx, in.MCPServerMatch, func(s *core.MCPServer) (core.MCPConfig, error) {
		before := mcpServerRequest{
			Name: s.Name, Slug: s.Slug, Description: s.Description,
			Transport: s.Transport, Config: api.Object(s.Config), Shared: s.Shared,
			ShareCredentials: s.ShareCredentials,
		}
		if hasDefaultTransport(s) {
			before.Transport = "" // derive it from the merged config
		}
		var next mcpServerRequest
		if err := api.MergePatch(before, in.Body, &next); err != nil {
			return core.MCPConfig{}, err
		}
		// Huma has validated the patch, but accepts null for every field.
		switch {
		case next.Name == "":
			return core.MCPConfig{}, core.Invalid("name", "Field is required")
		case next.Slug == "":
			return core.MCPConfig{}, core.Invalid("slug", "Field is required")
		}
		return next.applyTo(s)
	})
}

// hasDefaultTransport reports whether the transport of s is the default for its config.
func hasDefaultTransport(s *core.MCPServer) bool {
	config, err := core.ParseMCPConfig(s.Config)
	if err != nil {
		return false
	}
	transport, err := config.Transport()
	return err == nil && transport == s.Transport
}

// update applies a change to a server that has one of the versions of If-Match. It calls change again if
// another update interferes.
func (h *handlers) update(
	ctx context.Context, in MCPServerMatch, change func(*core.MCPServer) (core.MCPConfig, error),
) (*mcpServerOutput, error) {
	v := api.Actor(ctx)
	var config core.MCPConfig
	s, err := core.Update(
		func() (*core.MCPServer, error) { return h.Store.MCPServer(ctx, v, in.ID) },
		func(s *core.MCPServer) (err error) {
			if err := api.CheckIfMatch(in.IfMatch, "MCP server", s.Version); err != nil {
				return err
			}
			s.UpdatedAt = time.Now().UTC().Truncate(time.Microsecond)
			config, err = change(s)
			return err
		},
		func(s *core.MCPServer) error { return h.Manager.Update(ctx, api.Audit(ctx), v, s, config) },
	)
	if err != nil {
		return nil, err
	}
	return h.output(ctx, s), nil
}

func (h *handlers) delete(ctx context.Context, in *mcpServerDelete) (*struct{}, error) {
	v := api.Actor(ctx)
	d := core.MCPServerDeletion{Force: in.Force}
	if in.IfMatch != "" {
		s, err := h.Store.MCPServer(ctx, v, in.ID)
		if err != nil {
			return nil, err
		}
		if err := api.CheckIfMatch(in.IfMatch, "MCP server", s.Version); err != nil {
			return nil, err
		}
		d.Version = s.Version
	}
	return nil, h.Manager.Delete(ctx, api.Audit(ctx), v, in.ID, d)
}

func (h *handlers) output(ctx context.Context, s *core.MCPServer) *mcpServerOutput {
	return &mcpServerOutput{ETag: api.ETag(s.Version), Body: h.body(ctx, s)}
}

// body returns the body of a server with its present state. Only admins see the process id. Users who may not change
// the server do not see its last error, because that may contain output of the server.
func (h *handlers) body(ctx context.Context, s *core.MCPServer) MCPServer {
	state := h.Inspector.State(s.ID)
	b := MCPServer{
		ID: s.ID, Name: s.Name, Description: s.Description, Slug: s.Slug, Status: state.Status, URL: h.clientURL(ctx, s.Slug),
		Transport: s.Transport, Config: api.Object(s.Config), Capabilities: api.OrEmpty(s.Capabilities), Shared: s.Shared,
		ShareCredentials: s.ShareCredentials, Wanted: s.ShouldRun(),
		LastError: state.LastError, Sandbox: state.Sandbox,
		Restarts: state.Restarts, StartedAt: api.OptionalTime(state.StartedAt),
		CreatedAt: api.Time(s.CreatedAt), UpdatedAt: api.Time(s.UpdatedAt), CreatedBy: s.CreatedBy,
	}
	actor := api.Actor(ctx)
	if !s.ChangeableBy(actor) {
		b.LastError = ""
	}
	if actor.Admin() {
		b.PID = state.PID
	}
	return b
}

// clientURL returns the URL at which MCP clients reach a server.
func (h *handlers) clientURL(ctx context.Context, slug string) string {
	base := h.URL
	if base == "" {
		base = api.RequestFrom(ctx).Origin()
	}
	return base + "/mcp/" + slug + "/mcp/"
}
