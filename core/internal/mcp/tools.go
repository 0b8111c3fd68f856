package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.opentelemetry.io/otel/propagation"

	"github.com/agentarea/agentarea/core"
)

// Tools implements core.MCPServers.
func (s *Servers) Tools(ctx context.Context, m *core.MCPServer) ([]core.MCPTool, error) {
	l, err := s.life(ctx, m.ID)
	if err != nil {
		return nil, err
	}
	return l.list(ctx)
}

// list gives the server's tools, from the last list until the server says that
// they have changed. The result is not to be changed.
func (l *life) list(ctx context.Context) ([]core.MCPTool, error) {
	select {
	case l.listing <- struct{}{}:
		defer func() { <-l.listing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	l.mu.Lock()
	tools, changes := l.tools, l.changes
	fresh := !l.stale && (l.freshUntil.IsZero() || time.Now().Before(l.freshUntil))
	l.mu.Unlock()
	if fresh {
		return tools, nil
	}
	tools, until, err := l.ask(ctx)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tools, l.freshUntil = tools, until
	l.stale = l.changes != changes
	return tools, nil
}

// known gives the last list, however old.
func (l *life) known() []core.MCPTool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tools
}

func (l *life) toolsChanged() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stale = true
	l.changes++
}

// ask reads the whole list, and until when it may be used.
func (l *life) ask(ctx context.Context) (tools []core.MCPTool, until time.Time, err error) {
	tools = []core.MCPTool{}
	if c := l.session.InitializeResult().Capabilities; c == nil || c.Tools == nil {
		return tools, time.Time{}, nil
	}
	asking, cancel := context.WithTimeout(ctx, l.times.List)
	defer cancel()
	for params := (&mcp.ListToolsParams{}); ; {
		page, err := l.session.ListTools(asking, params)
		if err != nil {
			return nil, time.Time{}, l.listFailure(ctx, err)
		}
		if page.TTLMs > 0 {
			end := time.Now().Add(time.Duration(page.TTLMs) * time.Millisecond)
			if until.IsZero() || end.Before(until) {
				until = end
			}
		}
		for _, t := range page.Tools {
			if len(tools) == l.server.of.Limits.Tools {
				l.child.log.add(sourceHost, fmt.Sprintf("it has more than %d tools: the others are left out", len(tools)))
				return tools, until, nil
			}
			tools = append(tools, toolOf(t))
		}
		if page.NextCursor == "" || page.NextCursor == params.Cursor {
			return tools, until, nil
		}
		params = &mcp.ListToolsParams{Cursor: page.NextCursor}
	}
}

func (l *life) listFailure(ctx context.Context, err error) error {
	slug := l.child.target.slug
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		return core.Unavailable("The MCP server %q did not list its tools within %s", slug, l.times.List)
	case l.child.ended():
		return core.Unavailable("The MCP server %q has ended: %s", slug, l.child.reason())
	}
	return &core.Error{Code: core.CodeUpstream, Message: fmt.Sprintf("The MCP server %q can't list its tools: %s", slug, l.explain(err))}
}

// explain says what a server or go-sdk makes of a request, without secrets.
func (l *life) explain(err error) string {
	text := err.Error()
	var refused *jsonrpc.Error
	if errors.As(err, &refused) {
		text = refused.Message
	}
	return l.child.target.redact.told(text)
}

func toolOf(t *mcp.Tool) core.MCPTool {
	out := core.MCPTool{Name: t.Name, Title: t.Title, Description: t.Description}
	if t.InputSchema != nil {
		out.InputSchema = encode(t.InputSchema)
	}
	if len(out.InputSchema) == 0 || string(out.InputSchema) == "null" {
		out.InputSchema = json.RawMessage(`{"type":"object"}`)
	}
	if a := t.Annotations; a != nil {
		out.ReadOnly, out.Idempotent = a.ReadOnlyHint, a.IdempotentHint
		out.Destructive = !a.ReadOnlyHint && (a.DestructiveHint == nil || *a.DestructiveHint)
		if out.Title == "" {
			out.Title = a.Title
		}
	} else {
		out.Destructive = true // what a server does not say, the protocol takes to be so
	}
	return out
}

// errTimedOut is the cause of a call's end when nothing was heard of it for too long.
var errTimedOut = errors.New("timed out")

// call calls a tool. It fails with errTimedOut when the server neither answers
// nor tells of progress in time.
func (l *life) call(ctx context.Context, tool string, arguments json.RawMessage) (*mcp.CallToolResult, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(l.times.Call, func() { cancel(errTimedOut) })
	defer timer.Stop()
	token := l.expect(func() { timer.Reset(l.times.Call) })
	defer l.unexpect(token)
	params := &mcp.CallToolParams{Name: tool, Arguments: arguments}
	params.SetProgressToken(token)
	setTrace(ctx, params)
	result, err := l.session.CallTool(ctx, params)
	if err != nil && errors.Is(context.Cause(ctx), errTimedOut) {
		return nil, errTimedOut
	}
	return result, err
}

// setTrace tells the server which trace the call is part of, by the names that MCP
// keeps for that.
func setTrace(ctx context.Context, params *mcp.CallToolParams) {
	w3c := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, w3c)
	for key, value := range w3c {
		params.Meta[key] = value
	}
}

// expect has f called at each progress that is told of with the token.
func (l *life) expect(f func()) (token string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lastCall++
	token = "call-" + strconv.Itoa(l.lastCall)
	l.calls[token] = f
	return token
}

func (l *life) unexpect(token string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.calls, token)
}

func (l *life) progressed(token any) {
	name, _ := token.(string)
	l.mu.Lock()
	defer l.mu.Unlock()
	if f := l.calls[name]; f != nil {
		f()
	}
}
