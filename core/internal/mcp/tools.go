package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.opentelemetry.io/otel/propagation"

	"github.com/agentarea/agentarea/core"
)

// Tools implements core.MCPServers.
func (s *Servers) Tools(ctx context.Context, m *core.MCPServer) ([]core.MCPTool, error) {
	l, err := s.session(ctx, m.ID)
	if err != nil {
		return nil, err
	}
	return l.listTools(ctx)
}

// ToolNames returns all names that a pattern in the config of an agent can match, for the tools of a server that
// the config names by slug. It waits and fails as Tools does.
func (s *Servers) ToolNames(ctx context.Context, m *core.MCPServer, slug string) ([]string, error) {
	tools, err := s.Tools(ctx, m)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, 2*len(tools))
	for _, t := range nameTools(slug, tools) {
		names = append(names, t.name, slug+separator+t.Name)
	}
	return names, nil
}

// listTools returns the server's tools. It uses the last list until the server reports a
// change. The caller must not modify the result.
func (sess *session) listTools(ctx context.Context) ([]core.MCPTool, error) {
	select {
	case sess.listLock <- struct{}{}:
		defer func() { <-sess.listLock }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	sess.mu.Lock()
	tools, tooLarge, changes := sess.tools, sess.tooLarge, sess.changes
	fresh := !sess.stale && (sess.freshUntil.IsZero() || time.Now().Before(sess.freshUntil))
	sess.mu.Unlock()
	if fresh {
		return tools, tooLarge
	}
	tools, until, err := sess.fetchTools(ctx)
	tooLarge = nil
	switch {
	case errors.Is(err, errListTooLarge):
		// The error is cached, because each attempt costs as much as the server likes to send.
		tools, until, tooLarge = nil, time.Now().Add(tooLargeFor), sess.listTooLarge()
	case err != nil:
		return nil, err
	}
	sess.mu.Lock()
	defer sess.mu.Unlock()
	sess.tools, sess.tooLarge, sess.freshUntil = tools, tooLarge, until
	sess.stale = sess.changes != changes
	return tools, tooLarge
}

// tooLargeFor is how long a list that was too large is not fetched again.
const tooLargeFor = time.Minute

var errListTooLarge = errors.New("the tool list is too large")

// listTooLarge returns the error of a tool list that exceeds the limit. It also sets the server's last error.
func (sess *session) listTooLarge() error {
	limit := humanize.IBytes(uint64(sess.server.servers.Limits.List)) //nolint:gosec // a positive constant
	reason := "its tool list exceeds " + limit +
		", so agents cannot use its tools; reduce the number of tools or the size of their schemas"
	sess.conn.log.add(sourceHost, reason)
	sess.generation.set(func(st *core.MCPState) { st.LastError = reason })
	return &core.Error{
		Code: core.CodeUpstream, Message: fmt.Sprintf("MCP server %q cannot be used: %s", sess.conn.endpoint.slug, reason),
	}
}

// cachedTools returns the last list, even if it is stale.
func (sess *session) cachedTools() []core.MCPTool {
	sess.mu.Lock()
	defer sess.mu.Unlock()
	return sess.tools
}

func (sess *session) onToolsChanged() {
	sess.mu.Lock()
	defer sess.mu.Unlock()
	sess.stale = true
	sess.changes++
}

// fetchTools reads the complete list. It may be used until the returned time.
func (sess *session) fetchTools(ctx context.Context) (tools []core.MCPTool, until time.Time, err error) {
	tools = []core.MCPTool{}
	if c := sess.client.InitializeResult().Capabilities; c == nil || c.Tools == nil {
		return tools, time.Time{}, nil
	}
	asking, cancel := context.WithTimeout(ctx, sess.times.List)
	defer cancel()
	bytes := 0
	for params := (&mcp.ListToolsParams{}); ; {
		page, err := sess.client.ListTools(asking, params)
		if err != nil {
			return nil, time.Time{}, sess.listError(ctx, err)
		}
		if page.TTLMs > 0 {
			end := time.Now().Add(time.Duration(page.TTLMs) * time.Millisecond)
			if until.IsZero() || end.Before(until) {
				until = end
			}
		}
		for _, t := range page.Tools {
			if len(tools) == sess.server.servers.Limits.Tools {
				sess.conn.log.add(sourceHost, fmt.Sprintf("the server has more than %d tools; ignoring the others", len(tools)))
				return tools, until, nil
			}
			tool := toolOf(t)
			bytes += len(tool.Name) + len(tool.Title) + len(tool.Description) + len(tool.InputSchema)
			if bytes > sess.server.servers.Limits.List {
				return nil, time.Time{}, errListTooLarge
			}
			tools = append(tools, tool)
		}
		if page.NextCursor == "" || page.NextCursor == params.Cursor {
			return tools, until, nil
		}
		params = &mcp.ListToolsParams{Cursor: page.NextCursor}
	}
}

func (sess *session) listError(ctx context.Context, err error) error {
	slug := sess.conn.endpoint.slug
	var refused *jsonrpc.Error
	switch {
	case errors.As(err, &refused) && refused.Code == codeListTooLarge:
		return errListTooLarge
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		return core.Unavailable("MCP server %q did not list its tools within %s", slug, sess.times.List)
	case sess.conn.ended():
		return sess.conn.exitError()
	}
	return &core.Error{
		Code:    core.CodeUpstream,
		Message: fmt.Sprintf("MCP server %q failed to list its tools: %s", slug, sess.requestError(err)),
	}
}

// requestError returns the message of a server or of go-sdk about a request, without secrets.
func (sess *session) requestError(err error) string {
	text := err.Error()
	var refused *jsonrpc.Error
	if errors.As(err, &refused) {
		text = refused.Message
	}
	return sess.conn.endpoint.redactor.redact(text)
}

func toolOf(t *mcp.Tool) core.MCPTool {
	out := core.MCPTool{Name: t.Name, Title: t.Title, Description: t.Description}
	if t.InputSchema != nil {
		out.InputSchema = string(encode(t.InputSchema))
	}
	if out.InputSchema == "" || out.InputSchema == "null" {
		out.InputSchema = `{"type":"object"}`
	}
	if a := t.Annotations; a != nil {
		out.ReadOnly, out.Idempotent = a.ReadOnlyHint, a.IdempotentHint
		out.Destructive = !a.ReadOnlyHint && (a.DestructiveHint == nil || *a.DestructiveHint)
		if out.Title == "" {
			out.Title = a.Title
		}
	} else {
		out.Destructive = true // the protocol's default
	}
	return out
}

// errTimedOut is the cause of a call's end after Times.Call without progress.
var errTimedOut = errors.New("timed out")

// callTool calls a tool. It fails with errTimedOut if the server neither answers nor
// reports progress in time.
func (sess *session) callTool(
	ctx context.Context, tool string, arguments json.RawMessage,
) (*mcp.CallToolResult, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(sess.times.Call, func() { cancel(errTimedOut) })
	defer timer.Stop()
	token := sess.subscribeProgress(func() { timer.Reset(sess.times.Call) })
	defer sess.unsubscribeProgress(token)
	params := &mcp.CallToolParams{Name: tool, Arguments: arguments}
	params.SetProgressToken(token)
	setTrace(ctx, params)
	raw := new(rawResult)
	defer raw.release()
	result, err := sess.client.CallTool(withRawResult(ctx, raw), params)
	switch {
	case err == nil:
		return result, nil
	case errors.Is(context.Cause(ctx), errTimedOut):
		return nil, errTimedOut
	}
	if readable := raw.readable(); readable != nil && ctx.Err() == nil {
		return readable, nil
	}
	return nil, err
}

// setTrace adds the W3C trace context to the request's metadata, under the names that MCP
// reserves for it.
func setTrace(ctx context.Context, params *mcp.CallToolParams) {
	w3c := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, w3c)
	for key, value := range w3c {
		params.Meta[key] = value
	}
}

// subscribeProgress calls f for each progress notification with the returned token.
func (sess *session) subscribeProgress(f func()) (token string) {
	sess.mu.Lock()
	defer sess.mu.Unlock()
	sess.lastCall++
	token = "call-" + strconv.Itoa(sess.lastCall)
	sess.calls[token] = f
	return token
}

func (sess *session) unsubscribeProgress(token string) {
	sess.mu.Lock()
	defer sess.mu.Unlock()
	delete(sess.calls, token)
}

func (sess *session) onProgress(token any) {
	name, _ := token.(string)
	sess.mu.Lock()
	defer sess.mu.Unlock()
	if f := sess.calls[name]; f != nil {
		f()
	}
}
