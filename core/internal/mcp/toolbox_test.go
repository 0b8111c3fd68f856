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

// runOf is a member's run of an agent with that config.
func runOf(config string) *core.Run {
	return &core.Run{ID: "run-1", UserID: member.UserID, Config: json.RawMessage(config)}
}

func names(tools []sdk.Tool) string {
	var out []string
	for _, t := range tools {
		out = append(out, t.Name)
	}
	return strings.Join(out, " ")
}

func (w *world) call(name, arguments string) *sdk.ToolResult {
	w.t.Helper()
	r, err := w.Toolbox().Call(w.t.Context(), runOf(`{"mcp_servers":["fs"]}`), 1, sdk.ToolCall{ID: "1", Name: name, Arguments: arguments})
	if err != nil {
		w.t.Fatalf("call %s: %v", name, err)
	}
	return r
}

func textOf(r *sdk.ToolResult) string { return sdk.Message{Parts: r.Parts}.Text() }

func (w *world) wantFailure(r *sdk.ToolResult, parts ...string) {
	w.t.Helper()
	for _, part := range parts {
		if !r.IsError || !strings.Contains(textOf(r), part) {
			w.t.Errorf("got %q, error %v; want the error …%s…", textOf(r), r.IsError, part)
		}
	}
}

// files is a server with tools of all sorts.
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
	inWorld(t, modern(files), func(t *testing.T, w *world) {
		w.create(plainConfig)
		box := w.Toolbox()
		tools, err := box.Tools(t.Context(), runOf(`{"mcp_servers":["fs","fs"]}`)) // while it is being started
		if err != nil || len(tools) != 5 {
			t.Fatalf("tools %s, %v", names(tools), err)
		}
		for _, tool := range tools {
			if !strings.HasPrefix(tool.Name, "fs__") || len(tool.Name) > 64 || strings.ContainsFunc(tool.Name, func(r rune) bool {
				return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789_-", r)
			}) {
				t.Errorf("name %q", tool.Name)
			}
			if r := w.call(tool.Name, ""); r.IsError || textOf(r) != "done" {
				t.Errorf("%s said %q", tool.Name, textOf(r))
			}
		}
		byName := func(name string) sdk.Tool {
			i := slices.IndexFunc(tools, func(t sdk.Tool) bool { return t.Name == name })
			if i < 0 {
				t.Fatalf("there is no %s in %s", name, names(tools))
			}
			return tools[i]
		}
		if r := byName("fs__read_file"); !r.ReadOnly || r.Idempotent || r.Description != "Reads" || r.Parameters != `{"type":"object"}` {
			t.Errorf("read_file %+v", r)
		}
		if r := byName("fs__write_file"); r.ReadOnly || !r.Idempotent || r.Description != "Write" {
			t.Errorf("write_file %+v", r)
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
				t.Errorf("%s gives %q, %v; want %q", config, names(tools), err, want)
			}
		}
		// What was not listed can't be called.
		for config, name := range map[string]string{
			`{"mcp_servers":["fs"],"tools":["fs__read_*"]}`: "fs__write_file",
			`{"tools":["fs__*"]}`:                           "fs__read_file",
			`{"mcp_servers":["fs"]}`:                        "fs__none",
		} {
			r, err := box.Call(t.Context(), runOf(config), 1, sdk.ToolCall{Name: name, Arguments: "{}"})
			if err != nil {
				t.Fatal(err)
			}
			w.wantFailure(r, "there is no tool")
		}
	})
}

func TestToolsOfServersThatAreMissingOrDown(t *testing.T) {
	inWorld(t, legacy(echo), func(t *testing.T, w *world) {
		s := w.create(plainConfig)
		w.wantStatus(s.ID, core.MCPRunning)
		box, config := w.Toolbox(), runOf(`{"mcp_servers":["fs"]}`)
		w.transports.stdio.latest().end(&mcptransport.Exit{Code: 4, Message: "out of luck"})
		w.wantStatus(s.ID, core.MCPError)
		tools, err := box.Tools(t.Context(), config)
		if err != nil || len(tools) != 0 || !strings.Contains(w.logged.String(), "left out") {
			t.Errorf("tools %s, %v", names(tools), err)
		}
		w.wantFailure(w.call("fs__echo", "{}"), `"fs"`, "out of luck")
		_, err = box.Tools(t.Context(), runOf(`{"mcp_servers":["fs","gone"]}`))
		wantInvalid(t, err, "config.mcp_servers.1", `"gone"`)
		w.store.rows[s.ID].Shared = false
		_, err = box.Tools(t.Context(), config)
		wantInvalid(t, err, "config.mcp_servers.0", `"fs"`)
		w.wantFailure(w.call("fs__echo", "{}"), "not there any more")
	})
}

func TestToolListIsKeptUntilItChanges(t *testing.T) {
	t.Parallel()
	for era, dial := range map[string]func(func(*fakeConn) *sdkmcp.Server) func(mcptransport.Open) (mcptransport.Conn, error){
		"legacy": legacy, "modern": modern,
	} {
		t.Run(era, func(t *testing.T) {
			var server *sdkmcp.Server
			lists := 0
			inWorld(t, dial(func(c *fakeConn) *sdkmcp.Server {
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
			}), func(t *testing.T, w *world) {
				s := w.create(plainConfig)
				w.wantStatus(s.ID, core.MCPRunning)
				tools := func(want string, asked int) {
					t.Helper()
					got, err := w.Toolbox().Tools(t.Context(), runOf(`{"mcp_servers":["fs"]}`))
					if err != nil || names(got) != want || lists != asked {
						t.Errorf("%q after %d questions, %v; want %q after %d", names(got), lists, err, want, asked)
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
				if err := w.Restart(t.Context(), admin, s.ID); err != nil {
					t.Fatal(err)
				}
				w.wantStatus(s.ID, core.MCPRunning)
				tools("fs__echo", 3)
			})
		})
	}
}

// clocked is a server with a tool that takes its time, and what it was told.
type clocked struct {
	mu        sync.Mutex
	cancelled int
}

func (c *clocked) server(*fakeConn) *sdkmcp.Server {
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

func TestCallsTakeTheirTime(t *testing.T) {
	t.Parallel()
	for era, dial := range map[string]func(func(*fakeConn) *sdkmcp.Server) func(mcptransport.Open) (mcptransport.Conn, error){
		"legacy": legacy, "modern": modern,
	} {
		t.Run(era, func(t *testing.T) {
			var c clocked
			inWorld(t, dial(c.server), func(t *testing.T, w *world) {
				s := w.create(plainConfig)
				w.wantStatus(s.ID, core.MCPRunning)
				// Several at once take as long as one.
				began := time.Now()
				var calls sync.WaitGroup
				for range 10 {
					calls.Go(func() {
						if r := w.call("fs__wait", `{"seconds":50}`); textOf(r) != "waited 50" {
							t.Errorf("said %q", textOf(r))
						}
					})
				}
				calls.Wait()
				if d := time.Since(began); d > 51*time.Second {
					t.Errorf("ten calls took %s", d)
				}
				w.wantFailure(w.call("fs__wait", `{"seconds":70}`), "timed out", `"fs"`, "1m0s")
				synctest.Wait()
				if c.cancelled != 1 {
					t.Errorf("the server was told %d times", c.cancelled)
				}
				if r := w.call("fs__wait", `{"seconds":200,"progress":40}`); textOf(r) != "waited 200" {
					t.Errorf("with progress: %q", textOf(r))
				}
				// The run's own end is not the model's concern.
				ctx, cancel := context.WithCancelCause(t.Context())
				why := errors.New("the run was cancelled")
				time.AfterFunc(time.Second, func() { cancel(why) })
				_, err := w.Toolbox().Call(ctx, runOf(`{"mcp_servers":["fs"]}`), 1, sdk.ToolCall{Name: "fs__wait", Arguments: `{"seconds":50}`})
				if !errors.Is(err, why) {
					t.Errorf("cancelled: %v", err)
				}
				synctest.Wait()
				if c.cancelled != 2 {
					t.Errorf("the server was told %d times", c.cancelled)
				}
				w.wantStatus(s.ID, core.MCPRunning)
			})
		})
	}
}

func TestCallsThatGoWrong(t *testing.T) {
	dial := scripted(func(c *fakeConn, method string, id json.RawMessage) {
		switch {
		case shakeHands(c, method, id):
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
	inWorld(t, dial, func(t *testing.T, w *world) {
		answers = make(chan string, 1)
		s := w.create(`{"command":"peer","env":{"KEY":"hunter22"}}`)
		w.wantStatus(s.ID, core.MCPRunning)
		answers <- `{"jsonrpc":"2.0","id":ID,"error":{"code":-32602,"message":"not with hunter22"}}`
		w.wantFailure(w.call("fs__t", "{}"), `"fs"`, "not with ***")
		answers <- `{"jsonrpc":"2.0","id":ID,"result":{"content":[{"type":"text","text":"it failed"}],"isError":true}}`
		w.wantFailure(w.call("fs__t", "{}"), "it failed")
		answers <- `{"jsonrpc":"2.0","id":ID,"result":{"content":[{"type":"hologram"}]}}`
		w.wantFailure(w.call("fs__t", "{}"), "refused")
		answers <- `{"jsonrpc":"2.0","id":ID,"result":{"content":[{"type":"text","text":"fine"}]}}`
		if r := w.call("fs__t", "{}"); r.IsError || textOf(r) != "fine" {
			t.Errorf("after all that it said %q", textOf(r))
		}
		for arguments, want := range map[string]string{`[1]`: "JSON object", `{"a":`: "JSON object", `{"a":"` + strings.Repeat("x", 9<<20) + `"}`: "is the most"} {
			w.wantFailure(w.call("fs__t", arguments), "the arguments can't be used", want)
		}
		if st := w.wantStatus(s.ID, core.MCPRunning); st.Restarts != 0 {
			t.Errorf("restarted %d times", st.Restarts)
		}
		answers <- "die"
		w.wantFailure(w.call("fs__t", "{}"), `"fs" ended during the call`, "exit code 2: panic: ***")
		time.Sleep(time.Second)
		answers <- `{"jsonrpc":"2.0","id":ID,"result":{"content":[{"type":"text","text":"up again"}]}}`
		if r := w.call("fs__t", "null"); textOf(r) != "up again" {
			t.Errorf("after its crash it said %q", textOf(r))
		}
	})
}

// answers are what the server of TestCallsThatGoWrong says next.
var answers chan string
