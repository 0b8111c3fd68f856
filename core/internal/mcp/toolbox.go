package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

// Toolbox gives agents the tools of the MCP servers that their config names. It
// is the engine's toolbox.
type Toolbox struct {
	servers *Servers
}

// Toolbox makes one.
func (s *Servers) Toolbox() *Toolbox { return &Toolbox{s} }

// choice is what an agent's config says of tools.
type choice struct {
	// Servers are slugs.
	Servers []string `json:"mcp_servers"`
	// Tools are names and patterns of slug__tool; nil lets all be used.
	Tools []string `json:"tools"`
}

// choiceOf reads a run's config. An agent type's schema may give the words
// another sense: then they choose nothing.
func choiceOf(run *core.Run) choice {
	var c choice
	if json.Unmarshal(run.Config, &c) != nil {
		return choice{}
	}
	return c
}

// allows says whether a tool may be used, by its name here or its server's own.
func (c choice) allows(slug string, t namedTool) bool {
	if c.Tools == nil {
		return true
	}
	return slices.ContainsFunc(c.Tools, func(pattern string) bool {
		return matches(pattern, t.name) || matches(pattern, slug+separator+t.Name)
	})
}

func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

// viewer is on whose behalf a run uses servers. Even an admin's run sees what a
// member would: the own ones and the shared ones.
func actor(run *core.Run) core.Actor {
	return core.Actor{UserID: run.UserID, Role: core.RoleMember}
}

// Tools lists the tools that the run's agent may use, in the order of its config.
// Those of a server that is down are left out. It fails with Invalid for a slug
// that names no server.
func (b *Toolbox) Tools(ctx context.Context, run *core.Run) ([]sdk.Tool, error) {
	chosen := choiceOf(run)
	servers := make([]*core.MCPServer, 0, len(chosen.Servers))
	for i, slug := range chosen.Servers {
		if slices.Contains(chosen.Servers[:i], slug) {
			continue
		}
		m, err := b.find(ctx, run, slug)
		if core.CodeOf(err) == core.CodeNotFound {
			return nil, core.Invalid(fmt.Sprintf("config.mcp_servers.%d", i), "There is no MCP server %q: correct the agent's config", slug)
		}
		if err != nil {
			return nil, err
		}
		servers = append(servers, m)
	}
	// At once: a server that is slow to answer is waited for once.
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
			if chosen.allows(m.Slug, t) {
				tools = append(tools, sdk.Tool{
					Name: t.name, Description: description(t.MCPTool), Parameters: string(t.InputSchema),
					ReadOnly: t.ReadOnly, Idempotent: t.Idempotent,
				})
			}
		}
	}
	return tools, nil
}

func (b *Toolbox) find(ctx context.Context, run *core.Run, slug string) (*core.MCPServer, error) {
	return b.servers.Store.MCPServerBySlug(ctx, actor(run), slug)
}

// list gives a server's tools; none when it is down.
func (b *Toolbox) list(ctx context.Context, run *core.Run, m *core.MCPServer) []namedTool {
	tools, err := b.servers.Tools(ctx, m)
	if err != nil {
		b.servers.Logger.WarnContext(ctx, "MCP server's tools left out of a run", "run_id", run.ID, "slug", m.Slug, "error", err)
		return nil
	}
	return nameTools(m.Slug, tools)
}

func description(t core.MCPTool) string {
	if t.Description == "" {
		return t.Title
	}
	return t.Description
}

// Call calls one tool. Whatever goes wrong, but the end of ctx, is a result that
// tells the model. The number does not matter: a server does not know calls again.
func (b *Toolbox) Call(ctx context.Context, run *core.Run, _ uint64, call sdk.ToolCall) (*sdk.ToolResult, error) {
	result, err := b.call(ctx, run, call)
	if err == nil {
		return result, nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var shown *core.Error
	if !errors.As(err, &shown) {
		return nil, err
	}
	return failure("%s", withFields(shown)), nil
}

func (b *Toolbox) call(ctx context.Context, run *core.Run, call sdk.ToolCall) (*sdk.ToolResult, error) {
	slug, _, _ := strings.Cut(call.Name, separator)
	chosen := choiceOf(run)
	if !slices.Contains(chosen.Servers, slug) {
		return failure("there is no tool %q", call.Name), nil
	}
	m, err := b.find(ctx, run, slug)
	if core.CodeOf(err) == core.CodeNotFound {
		return failure("the MCP server %q is not there any more", slug), nil
	}
	if err != nil {
		return nil, err
	}
	l, err := b.servers.life(ctx, m.ID)
	if err != nil {
		return nil, err
	}
	tool, err := l.find(ctx, slug, call.Name)
	if err != nil {
		return nil, err
	}
	if tool == nil || !chosen.allows(slug, *tool) {
		return failure("there is no tool %q", call.Name), nil
	}
	arguments, err := argumentsOf(call)
	if err != nil {
		return failure("the arguments can't be used: %s", err), nil
	}
	result, err := l.call(ctx, tool.Name, arguments)
	if err != nil {
		return l.callFailure(ctx, call.Name, err)
	}
	return b.servers.Limits.result(result), nil
}

// find gives the tool that has that name here; nil when there is none. A tool of
// an old list is good enough: that it is gone, the server says itself.
func (l *life) find(ctx context.Context, slug, name string) (*namedTool, error) {
	if t := pick(slug, name, l.known()); t != nil {
		return t, nil
	}
	tools, err := l.list(ctx)
	if err != nil {
		return nil, err
	}
	return pick(slug, name, tools), nil
}

func pick(slug, name string, tools []core.MCPTool) *namedTool {
	for _, t := range tools {
		if toolName(slug, t.Name) == name {
			return &namedTool{name, t}
		}
	}
	return nil
}

// argumentsOf gives the JSON object of a call.
func argumentsOf(call sdk.ToolCall) (json.RawMessage, error) {
	if strings.TrimSpace(call.Arguments) == "" {
		return json.RawMessage("{}"), nil
	}
	if len(call.Arguments) > mcptransport.MaxMessage/2 {
		return nil, fmt.Errorf("they have %d bytes, and %d is the most", len(call.Arguments), mcptransport.MaxMessage/2)
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(call.Arguments), &object); err != nil {
		return nil, fmt.Errorf("they must be a JSON object: %w", err)
	}
	if object == nil {
		return json.RawMessage("{}"), nil
	}
	return json.RawMessage(call.Arguments), nil
}

// callFailure makes of a call that did not come to a result one that says why.
func (l *life) callFailure(ctx context.Context, name string, err error) (*sdk.ToolResult, error) {
	slug := l.child.target.slug
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, errTimedOut):
		return failure("the tool %s timed out: the MCP server %q neither answered nor told of progress for %s", name, slug, l.times.Call), nil
	case l.child.ended():
		return failure("the MCP server %q ended during the call: %s. The call may or may not have taken effect", slug, l.child.reason()), nil
	}
	return failure("the MCP server %q refused the call: %s", slug, l.explain(err)), nil
}

// failure is a result that tells the model what went wrong.
func failure(format string, args ...any) *sdk.ToolResult {
	return &sdk.ToolResult{Parts: []sdk.Part{{Text: fmt.Sprintf(format, args...)}}, IsError: true}
}
