package mcp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sdkmcp "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/mcp"
	"github.com/agentarea/agentarea/core/internal/run"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

var _ run.Toolbox = (*mcp.Toolbox)(nil)

// runOf returns a member's run of an admin's agent with the given config, which can name the server that
// create returns and a deleted one.
func runOf(config string) *core.Run {
	return &core.Run{
		ID: "run-1", UserID: member.UserID, AgentOwner: admin.UserID, Config: json.RawMessage(config),
		MCPServers: []core.MCPServerRef{{Slug: "fs", ID: "server-1"}, {Slug: "gone", ID: "server-2"}},
	}
}

func names(tools []sdk.Tool) string {
	var out []string
	for _, t := range tools {
		out = append(out, t.Name)
	}
	return strings.Join(out, " ")
}

func (env *testEnv) call(name, arguments string) *sdk.ToolResult {
	env.t.Helper()
	r, err := env.Toolbox().Call(env.t.Context(), runOf(`{"mcp_servers":["fs"]}`), 1,
		sdk.ToolCall{ID: "1", Name: name, Arguments: arguments})
	if err != nil {
		env.t.Fatalf("call %s: %v", name, err)
	}
	return r
}

func textOf(r *sdk.ToolResult) string { return sdk.Message{Parts: r.Parts}.Text() }

func (env *testEnv) wantFailure(r *sdk.ToolResult, parts ...string) {
	env.t.Helper()
	for _, part := range parts {
		if !r.IsError || !strings.Contains(textOf(r), part) {
			env.t.Errorf("got %q, error %v; want the error …%s…", textOf(r), r.IsError, part)
		}
	}
}

// files returns a server with various tools.
func files(*fakeConn) *sdkmcp.Server {
	s := newServer()
	say := func(context.Context, *sdkmcp.CallToolRequest) (*sdkmcp.CallToolResult, error) {
		return text("done"), nil
	}
	for _, t := range []*sdkmcp.Tool{
		{Name: "read_file", Description: "Reads", Annotations: &sdkmcp.ToolAnnotations{ReadOnlyHint: true}},
		{Name: "write_file", Title: "Write", Annotations: &sdkmcp.ToolAnnotations{IdempotentHint: true}},
		{Name: "a.dotted.name"},
		{Name: strings.Repeat("long", 20) + "1"},
		{Name: strings.Repeat("long", 20) + "2"},
	} {
		addTool(s, t, say)
	}
	return s
}

func TestToolsOfAnAgent(t *testing.T) {
	withEnv(t, modern(files), func(t *testing.T, env *testEnv) {
		env.create(plainConfig)
		box := env.Toolbox()
		tools, err := box.Tools(t.Context(), runOf(`{"mcp_servers":["fs","fs"]}`)) // while it is starting
		if err != nil || len(tools) != 5 {
			t.Fatalf("got tools %s, %v", names(tools), err)
		}
		for _, tool := range tools {
			if !strings.HasPrefix(tool.Name, "fs__") || len(tool.Name) > 64 ||
				strings.ContainsFunc(tool.Name, func(r rune) bool {
					return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789_-", r)
				}) {
				t.Errorf("got name %q", tool.Name)
			}
			if r := env.call(tool.Name, ""); r.IsError || textOf(r) != "done" {
				t.Errorf("%s returned %q", tool.Name, textOf(r))
			}
		}
		byName := func(name string) sdk.Tool {
			i := slices.IndexFunc(tools, func(t sdk.Tool) bool { return t.Name == name })
			if i < 0 {
				t.Fatalf("%s is not in %s", name, names(tools))
			}
			return tools[i]
		}
		if r := byName("fs__read_file"); !r.ReadOnly || r.Idempotent || r.Description != "Reads" ||
			r.Parameters != `{"type":"object"}` {
			t.Errorf("read_file = %+v", r)
		}
		if r := byName("fs__write_file"); r.ReadOnly || !r.Idempotent || r.Description != "Write" {
			t.Errorf("write_file = %+v", r)
		}
		byName("fs__a_dotted_name_ddd287d5")

		for config, want := range map[string]string{
			`{}`:                                "",
			`{"mcp_servers":["fs"],"tools":[]}`: "",
			`{"mcp_servers":["fs"],"tools":["fs__read_*","files__*"]}`:         "fs__read_file",
			`{"mcp_servers":["fs"],"tools":["fs__a.dotted.name","[","fs__w"]}`: "fs__a_dotted_name_ddd287d5",
			`{"mcp_servers":["fs"],"tools":["*__write_file"]}`:                 "fs__write_file",
			`{"tools":["fs__*"]}`:             "",
			`{"mcp_servers":"another sense"}`: "",
		} {
			tools, err := box.Tools(t.Context(), runOf(config))
			if err != nil || names(tools) != want {
				t.Errorf("tools of %s = %q, %v; want %q", config, names(tools), err, want)
			}
		}
		// A tool that is not listed cannot be called.
		for config, name := range map[string]string{
			`{"mcp_servers":["fs"],"tools":["fs__read_*"]}`: "fs__write_file",
			`{"tools":["fs__*"]}`:                           "fs__read_file",
			`{"mcp_servers":["fs"]}`:                        "fs__none",
		} {
			r, err := box.Call(t.Context(), runOf(config), 1, sdk.ToolCall{Name: name, Arguments: "{}"})
			if err != nil {
				t.Fatal(err)
			}
			env.wantFailure(r, "does not exist")
		}
	})
}

func TestTools_missingOrFailedServers(t *testing.T) {
	withEnv(t, legacy(echo), func(t *testing.T, env *testEnv) {
		s := env.create(plainConfig)
		env.wantStatus(s.ID, core.MCPRunning)
		box, config := env.Toolbox(), runOf(`{"mcp_servers":["fs"]}`)
		env.transports.stdio.latest().end(&mcptransport.Exit{Code: 4, Message: "out of luck"})
		env.wantStatus(s.ID, core.MCPError)
		tools, err := box.Tools(t.Context(), config)
		if err != nil || len(tools) != 0 || !strings.Contains(env.logged.String(), "omitting") {
			t.Errorf("got tools %s, %v", names(tools), err)
		}
		failed := env.call("fs__echo", "{}")
		env.wantFailure(failed, `"fs"`, "last_error")
		if strings.Contains(textOf(failed), "out of luck") {
			t.Errorf("got %q, want an error without the server's text", textOf(failed))
		}
		_, err = box.Tools(t.Context(), runOf(`{"mcp_servers":["fs","gone"]}`))
		wantInvalid(t, err, "config.mcp_servers[1]", `MCP server "gone" does not exist anymore`)
		_, err = box.Tools(t.Context(), runOf(`{"mcp_servers":["never-resolved"]}`))
		wantInvalid(t, err, "config.mcp_servers[0]", `"never-resolved" does not exist. Correct the agent's config.`)
		env.store.rows[s.ID].Shared = false
		_, err = box.Tools(t.Context(), config)
		wantInvalid(t, err, "config.mcp_servers[0]", `"fs" is private to the owner of the agent`)
		env.wantFailure(env.call("fs__echo", "{}"), "private to the owner of the agent")
	})
}

func TestToolListIsCachedUntilItChanges(t *testing.T) {
	t.Parallel()
	for era, dial := range map[string]func(func(*fakeConn) *sdkmcp.Server) func(mcptransport.Open) (mcptransport.Conn, error){
		"legacy": legacy, "modern": modern,
	} {
		t.Run(era, func(t *testing.T) {
			var server *sdkmcp.Server
			lists := 0
			withEnv(t, dial(func(c *fakeConn) *sdkmcp.Server {
				server = echo(c)
				server.AddReceivingMiddleware(func(next sdkmcp.MethodHandler) sdkmcp.MethodHandler {
					return func(ctx context.Context, method string, r sdkmcp.Request) (sdkmcp.Result, error) {
						if method == "tools/list" {
							lists++
						}
						return next(ctx, method, r)
					}
				})
				return server
			}), func(t *testing.T, env *testEnv) {
				s := env.create(plainConfig)
				env.wantStatus(s.ID, core.MCPRunning)
				tools := func(want string, wantLists int) {
					t.Helper()
					got, err := env.Toolbox().Tools(t.Context(), runOf(`{"mcp_servers":["fs"]}`))
					if err != nil || names(got) != want || lists != wantLists {
						t.Errorf("got %q after %d lists, %v; want %q after %d", names(got), lists, err, want, wantLists)
					}
				}
				tools("fs__echo", 1)
				tools("fs__echo", 1)
				addTool(server, &sdkmcp.Tool{Name: "more"}, func(context.Context, *sdkmcp.CallToolRequest) (*sdkmcp.CallToolResult, error) {
					return text("more"), nil
				})
				time.Sleep(time.Second)
				tools("fs__echo fs__more", 2)
				tools("fs__echo fs__more", 2)
				if err := env.Restart(t.Context(), nil, admin, s.ID); err != nil {
					t.Fatal(err)
				}
				env.wantStatus(s.ID, core.MCPRunning)
				tools("fs__echo", 3)
			})
		})
	}
}

// slowServer is a server with a slow tool. It counts cancellations.
type slowServer struct {
	mu        sync.Mutex
	cancelled int
}

func (c *slowServer) server(*fakeConn) *sdkmcp.Server {
	s := newServer()
	addTool(s, &sdkmcp.Tool{Name: "wait"}, func(ctx context.Context, r *sdkmcp.CallToolRequest) (*sdkmcp.CallToolResult, error) {
		var in struct{ Seconds, Progress int }
		if err := json.Unmarshal(r.Params.Arguments, &in); err != nil {
			return nil, err
		}
		for i := range in.Seconds {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				c.mu.Lock()
				defer c.mu.Unlock()
				c.cancelled++
				return nil, ctx.Err()
			}
			if in.Progress > 0 && i%in.Progress == 0 {
				err := r.Session.NotifyProgress(ctx, &sdkmcp.ProgressNotificationParams{ProgressToken: r.Params.GetProgressToken(), Progress: float64(i)})
				if err != nil {
					return nil, err
				}
			}
		}
		return text(fmt.Sprintf("waited %d", in.Seconds)), nil
	})
	return s
}

func TestCallTimeoutAndProgress(t *testing.T) {
	t.Parallel()
	for era, dial := range map[string]func(func(*fakeConn) *sdkmcp.Server) func(mcptransport.Open) (mcptransport.Conn, error){
		"legacy": legacy, "modern": modern,
	} {
		t.Run(era, func(t *testing.T) {
			var c slowServer
			withEnv(t, dial(c.server), func(t *testing.T, env *testEnv) {
				s := env.create(plainConfig)
				env.wantStatus(s.ID, core.MCPRunning)
				// Concurrent calls do not wait for each other.
				began := time.Now()
				var calls sync.WaitGroup
				for range 10 {
					calls.Go(func() {
						if r := env.call("fs__wait", `{"seconds":50}`); textOf(r) != "waited 50" {
							t.Errorf("got %q", textOf(r))
						}
					})
				}
				calls.Wait()
				if d := time.Since(began); d > 51*time.Second {
					t.Errorf("ten concurrent calls took %s", d)
				}
				env.wantFailure(env.call("fs__wait", `{"seconds":70}`), "timed out", `"fs"`, "1m0s")
				synctest.Wait()
				if c.cancelled != 1 {
					t.Errorf("the server received %d cancellations", c.cancelled)
				}
				if r := env.call("fs__wait", `{"seconds":200,"progress":40}`); textOf(r) != "waited 200" {
					t.Errorf("call with progress = %q", textOf(r))
				}
				// The end of the run is not reported to the model.
				ctx, cancel := context.WithCancelCause(t.Context())
				cause := errors.New("the run was cancelled")
				time.AfterFunc(time.Second, func() { cancel(cause) })
				_, err := env.Toolbox().Call(ctx, runOf(`{"mcp_servers":["fs"]}`), 1, sdk.ToolCall{Name: "fs__wait", Arguments: `{"seconds":50}`})
				if !errors.Is(err, cause) {
					t.Errorf("canceled call: got %v", err)
				}
				synctest.Wait()
				if c.cancelled != 2 {
					t.Errorf("the server received %d cancellations", c.cancelled)
				}
				env.wantStatus(s.ID, core.MCPRunning)
			})
		})
	}
}

func TestCallErrors(t *testing.T) {
	dial := scripted(func(c *fakeConn, method string, id json.RawMessage) {
		switch {
		case handshake(c, method, id):
		case method == "tools/list":
			c.message(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"tools":[{"name":"t","inputSchema":{"type":"object"}}]}}`, id))
		case method == "tools/call":
			switch answer := <-answers; answer {
			case "die":
				c.stderr("panic: hunter22")
				c.end(&mcptransport.Exit{Code: 2})
			default:
				c.message(strings.ReplaceAll(answer, "ID", string(id)))
			}
		}
	})
	withEnv(t, dial, func(t *testing.T, env *testEnv) {
		answers = make(chan string, 1)
		s := env.create(`{"command":"peer","env":{"KEY":"hunter22"}}`)
		env.wantStatus(s.ID, core.MCPRunning)
		answers <- `{"jsonrpc":"2.0","id":ID,"error":{"code":-32602,"message":"not with hunter22"}}`
		env.wantFailure(env.call("fs__t", "{}"), `"fs"`, "not with ***")
		answers <- `{"jsonrpc":"2.0","id":ID,"result":{"content":[{"type":"text","text":"it failed"}],"isError":true}}`
		env.wantFailure(env.call("fs__t", "{}"), "it failed")
		answers <- `{"jsonrpc":"2.0","id":ID,"result":{"content":5,"isError":"?","resultType":"hologram"}}`
		env.wantFailure(env.call("fs__t", "{}"), "rejected")
		answers <- `{"jsonrpc":"2.0","id":ID,"result":{"content":[{"type":"text","text":"fine"}]}}`
		if r := env.call("fs__t", "{}"); r.IsError || textOf(r) != "fine" {
			t.Errorf("after the errors: got %q", textOf(r))
		}
		for arguments, want := range map[string]string{`[1]`: "JSON object", `{"a":`: "JSON object", `{"a":"` + strings.Repeat("x", 9<<20) + `"}`: "the maximum is"} {
			env.wantFailure(env.call("fs__t", arguments), "Invalid arguments", want)
		}
		if st := env.wantStatus(s.ID, core.MCPRunning); st.Restarts != 0 {
			t.Errorf("restarted %d times", st.Restarts)
		}
		answers <- "die"
		failed := env.call("fs__t", "{}")
		env.wantFailure(failed, `"fs" exited during the call`)
		if strings.Contains(textOf(failed), "panic") {
			t.Errorf("got %q, want an error without the server's output", textOf(failed))
		}
		time.Sleep(time.Second)
		answers <- `{"jsonrpc":"2.0","id":ID,"result":{"content":[{"type":"text","text":"up again"}]}}`
		if r := env.call("fs__t", "null"); textOf(r) != "up again" {
			t.Errorf("after the crash: got %q", textOf(r))
		}
	})
}

// answers holds the next answers of the server of TestCallErrors.
var answers chan string
