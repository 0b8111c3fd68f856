package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

// Toolbox provides agents with the tools of the MCP servers in their config. It
// implements the toolbox of the run engine.
type Toolbox struct {
	servers *Servers
}

// Toolbox returns a Toolbox of the servers.
func (s *Servers) Toolbox() *Toolbox { return &Toolbox{s} }

// configOf returns the config of the run's agent. If a field has another type, it allows no tools.
func configOf(run *core.Run) core.AgentConfig {
	config, _ := core.ParseAgentConfig(run.Config) // the error is about fields that are not used here
	return config
}

// allows reports whether the agent may use a tool of one of its servers. Patterns match the tool's
// name for models or its original name.
func allows(config core.AgentConfig, slug string, t namedTool) bool {
	if config.Tools == nil {
		return true
	}
	return slices.ContainsFunc(config.Tools, func(pattern string) bool {
		return core.MatchGlob(pattern, t.name) || core.MatchGlob(pattern, slug+separator+t.Name)
	})
}

// boundServer is an MCP server of a run's agent.
type boundServer struct {
	*core.MCPServer
	// prefix is the slug in the agent's config. The server itself can have another slug by now.
	prefix string
}

// Tools returns the tools that the run's agent may use, in the order of its config. It
// omits the tools of servers that are not running. It fails with Invalid for a server that
// was deleted or that the run may not use.
func (b *Toolbox) Tools(ctx context.Context, run *core.Run) ([]sdk.Tool, error) {
	config := configOf(run)
	servers := make([]boundServer, 0, len(config.MCPServers))
	for i, slug := range config.MCPServers {
		if slices.Contains(config.MCPServers[:i], slug) {
			continue
		}
		m, err := b.find(ctx, run, slug)
		var unusable *unusableError
		if errors.As(err, &unusable) {
			return nil, core.Invalid(fmt.Sprintf("config.mcp_servers[%d]", i), "%s", unusable.reason)
		}
		if err != nil {
			return nil, err
		}
		servers = append(servers, m)
	}
	// Concurrently, so that several slow servers do not add up.
	lists := make([][]namedTool, len(servers))
	var all sync.WaitGroup
	for i, m := range servers {
		all.Go(func() { lists[i] = b.list(ctx, run, m) })
	}
	all.Wait()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var tools []sdk.Tool
	for i, m := range servers {
		for _, t := range lists[i] {
			if allows(config, m.prefix, t) {
				tools = append(tools, sdk.Tool{
					Name: t.name, Description: description(t.MCPTool), Parameters: t.InputSchema,
					ReadOnly: t.ReadOnly, Idempotent: t.Idempotent,
				})
			}
		}
	}
	return tools, nil
}

// unusableError says why a run cannot use an MCP server, and what to do.
type unusableError struct{ reason string }

func (e *unusableError) Error() string { return e.reason }

// find returns the server that the config of the run's agent names by slug. It finds it by
// its id. It fails with an unusableError if it does not exist or if the run may not use it.
func (b *Toolbox) find(ctx context.Context, run *core.Run, slug string) (boundServer, error) {
	i := slices.IndexFunc(run.MCPServers, func(r core.MCPServerRef) bool { return r.Slug == slug })
	if i < 0 || run.MCPServers[i].ID == "" {
		return boundServer{}, &unusableError{fmt.Sprintf("MCP server %q does not exist. Correct the agent's config.", slug)}
	}
	m, err := b.servers.Store.MCPServer(ctx, systemActor, run.MCPServers[i].ID)
	switch {
	case core.CodeOf(err) == core.CodeNotFound, err == nil && !m.UsableBy(run) && m.CreatedBy != run.AgentOwner:
		return boundServer{}, &unusableError{fmt.Sprintf("MCP server %q does not exist anymore, or is not shared anymore. "+
			"Correct the agent's config.", slug)}
	case err != nil:
		return boundServer{}, err
	case !m.UsableBy(run):
		return boundServer{}, &unusableError{fmt.Sprintf("MCP server %q is private to the owner of the agent. "+
			"The owner can share it, or set its share_credentials.", slug)}
	}
	return boundServer{m, slug}, b.checkTransport(ctx, run, m, slug)
}

// checkTransport returns an unusableError if the run may not use the transport of the server.
func (b *Toolbox) checkTransport(ctx context.Context, run *core.Run, m *core.MCPServer, slug string) error {
	usable, err := b.servers.usableBy(ctx, m.Transport, run.UserID, run.AgentOwner)
	if err == nil && !usable {
		err = &unusableError{fmt.Sprintf("MCP server %q is not available to this run. %s Remove the server "+
			"from the agent's config.", slug, adminsOnly(m.Transport))}
	}
	return err
}

// list returns a server's tools, or none if it is not running.
func (b *Toolbox) list(ctx context.Context, run *core.Run, m boundServer) []namedTool {
	tools, err := b.servers.Tools(ctx, m.MCPServer)
	if err != nil {
		b.servers.Logger.WarnContext(ctx, "omitting the tools of an MCP server",
			"run_id", run.ID, "slug", m.Slug, "error", err)
		return nil
	}
	return nameTools(m.prefix, tools)
}

func description(t core.MCPTool) string {
	if t.Description == "" {
		return t.Title
	}
	return t.Description
}

// Call calls one tool. It returns all failures except the end of ctx as a result for the
// model. It ignores the call's number, because MCP servers do not detect repeated calls.
func (b *Toolbox) Call(ctx context.Context, run *core.Run, _ uint64, call sdk.ToolCall) (*sdk.ToolResult, error) {
	result, err := b.call(ctx, run, call)
	if err == nil {
		return result, nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var public *core.Error
	if !errors.As(err, &public) {
		return nil, err
	}
	return errorResult("%s", withFields(public)), nil
}

func (b *Toolbox) call(ctx context.Context, run *core.Run, call sdk.ToolCall) (*sdk.ToolResult, error) {
	slug, _, _ := strings.Cut(call.Name, separator)
	config := configOf(run)
	if !slices.Contains(config.MCPServers, slug) {
		return errorResult("Tool %q does not exist.", call.Name), nil
	}
	l, err := b.sessionFor(ctx, run, slug)
	var unusable *unusableError
	if errors.As(err, &unusable) {
		return errorResult("%s", unusable.reason), nil
	}
	if err != nil {
		return nil, err
	}
	tool, err := l.findTool(ctx, slug, call.Name)
	if err != nil {
		return nil, err
	}
	if tool == nil || !allows(config, slug, *tool) {
		return errorResult("Tool %q does not exist.", call.Name), nil
	}
	arguments, err := argumentsOf(call)
	if err != nil {
		return errorResult("Invalid arguments: %s", err), nil
	}
	result, err := l.callTool(ctx, tool.Name, arguments)
	if err != nil {
		return l.callError(ctx, call.Name, err)
	}
	return b.servers.Limits.result(result), nil
}

// sessionFor returns the session of a server that the run may use. It fails as find and Session do.
func (b *Toolbox) sessionFor(ctx context.Context, run *core.Run, slug string) (*session, error) {
	m, err := b.find(ctx, run, slug)
	if err != nil {
		return nil, err
	}
	l, err := b.servers.session(ctx, m.ID)
	if err != nil {
		return nil, err
	}
	// Again, because the plugin had no capabilities if it has started only now.
	return l, b.checkTransport(ctx, run, m.MCPServer, slug)
}

// findTool returns the tool that models know by that name, or nil. An outdated list is
// sufficient, because the server itself rejects a call of a removed tool.
func (sess *session) findTool(ctx context.Context, slug, name string) (*namedTool, error) {
	if t := toolByName(slug, name, sess.cachedTools()); t != nil {
		return t, nil
	}
	tools, err := sess.listTools(ctx)
	if err != nil {
		return nil, err
	}
	return toolByName(slug, name, tools), nil
}

func toolByName(slug, name string, tools []core.MCPTool) *namedTool {
	for _, t := range tools {
		if toolName(slug, t.Name) == name {
			return &namedTool{name, t}
		}
	}
	return nil
}

// argumentsOf returns the arguments of a call as a JSON object.
func argumentsOf(call sdk.ToolCall) (json.RawMessage, error) {
	if strings.TrimSpace(call.Arguments) == "" {
		return json.RawMessage("{}"), nil
	}
	if len(call.Arguments) > mcptransport.MaxMessage/2 {
		return nil, fmt.Errorf("the arguments have %d bytes; the maximum is %d",
			len(call.Arguments), mcptransport.MaxMessage/2)
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(call.Arguments), &object); err != nil {
		return nil, fmt.Errorf("the arguments must be a JSON object: %w", err)
	}
	if object == nil {
		return json.RawMessage("{}"), nil
	}
	return json.RawMessage(call.Arguments), nil
}

// callError converts the error of a call into a result for the model.
func (sess *session) callError(ctx context.Context, name string, err error) (*sdk.ToolResult, error) {
	slug := sess.conn.endpoint.slug
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, errTimedOut):
		return errorResult("Tool %s timed out: MCP server %q sent neither an answer nor progress for %s.",
			name, slug, sess.times.Call), nil
	case sess.conn.ended():
		return errorResult("MCP server %q exited during the call. The call may or may not have taken effect.", slug), nil
	}
	return errorResult("MCP server %q rejected the call: %s", slug, sess.requestError(err)), nil
}

// errorResult returns a result that describes an error to the model.
func errorResult(format string, args ...any) *sdk.ToolResult {
	return &sdk.ToolResult{Parts: []sdk.Part{{Text: fmt.Sprintf(format, args...)}}, IsError: true}
}
