package mcp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sdkmcp "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/mcp"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

func TestTools_listErrors(t *testing.T) {
	answers := make(chan string, 1)
	dial := scripted(func(c *fakeConn, method string, id json.RawMessage) {
		if handshake(c, method, id) {
			return
		}
		if method != "tools/list" {
			c.message(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{}}`, id))
			return
		}
		switch answer := <-answers; answer {
		case "silence":
		case "die":
			c.end(&mcptransport.Exit{Code: 6})
		default:
			c.message(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,%s}`, id, answer))
		}
	})
	withOptions(t, dial, func(o *mcp.Options) { o.Limits.Tools = 3 }, func(t *testing.T, env *testEnv) {
		s := env.create(`{"command":"peer","env":{"KEY":"hunter22"}}`)
		env.wantStatus(s.ID, core.MCPRunning)
		failing := func(answer string, code core.Code, want string) {
			t.Helper()
			answers <- answer
			_, err := env.Tools(t.Context(), s)
			if wantCode(t, err, code); !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %s", err, want)
			}
		}
		failing(`"error":{"code":-32603,"message":"hunter22 is wrong"}`,
			core.CodeUpstream, `"fs" failed to list its tools: *** is wrong`)
		failing("silence", core.CodeUnavailable, `"fs" did not list its tools within 30s`)
		// A canceled call does not affect other callers.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		answers <- "silence"
		if _, err := env.Tools(ctx, s); err == nil {
			t.Error("got tools from a canceled call")
		}
		// Pages are joined up to the limit.
		const page = `"result":{"tools":[{"name":"a%d","inputSchema":{"type":"object"}},{"name":"b%d"}],"nextCursor":"c%d"}`
		go func() {
			answers <- fmt.Sprintf(page, 1, 1, 1)
			answers <- fmt.Sprintf(page, 2, 2, 2)
		}()
		tools, err := env.Tools(t.Context(), s)
		if err != nil || len(tools) != 3 || tools[2].Name != "a2" || tools[1].InputSchema != `{"type":"object"}` {
			t.Errorf("Tools = %+v, %v", tools, err)
		}
		if log := strings.Join(env.lines(s.ID), "\n"); !strings.Contains(log, "more than 3 tools") {
			t.Errorf("log:\n%s", log)
		}
		if err := env.Restart(t.Context(), nil, admin, s.ID); err != nil {
			t.Fatal(err)
		}
		env.wantStatus(s.ID, core.MCPRunning)
		failing("die", core.CodeUnavailable, "exit code 6")
	})
}

// TestTools_listTooLarge checks that a tool list that is too large is refused before it is decoded, whether in one
// page or in many, and that it is not fetched again at once.
func TestTools_listTooLarge(t *testing.T) {
	for name, page := range map[string]string{
		"one page":   `{"tools":[{"name":"big","inputSchema":{"type":"object","x":"` + strings.Repeat("x", 4<<20) + `"}}]}`,
		"many pages": `{"tools":[{"name":"big%d","inputSchema":{"type":"object","x":"` + strings.Repeat("x", 200<<10) + `"}}],"nextCursor":"c%d"}`,
	} {
		t.Run(name, func(t *testing.T) {
			lists := 0
			dial := scripted(func(c *fakeConn, method string, id json.RawMessage) {
				if handshake(c, method, id) {
					return
				}
				result := `{}`
				if method == "tools/list" {
					lists++
					result = strings.ReplaceAll(page, "%d", strconv.Itoa(lists))
				}
				c.message(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":%s}`, id, result))
			})
			withEnv(t, dial, func(t *testing.T, env *testEnv) {
				s := env.create(plainConfig)
				env.wantStatus(s.ID, core.MCPRunning)
				const want = `its tool list exceeds 1.0 MiB`
				for range 3 {
					_, err := env.Tools(t.Context(), s)
					if wantCode(t, err, core.CodeUpstream); !strings.Contains(err.Error(), want) {
						t.Errorf("Tools = %v, want %s", err, want)
					}
				}
				if lists > 6 {
					t.Errorf("the list was fetched %d times, want at most 6 pages", lists)
				}
				if got := env.State(s.ID); !strings.Contains(got.LastError, want) {
					t.Errorf("LastError = %q, want %s", got.LastError, want)
				}
			})
		})
	}
}

// TestTools_listWithTTL checks that a list is fetched again after its TTL.
func TestTools_listWithTTL(t *testing.T) {
	lists := 0
	dial := scripted(func(c *fakeConn, method string, id json.RawMessage) {
		switch {
		case method == "server/discover":
			c.message(
				fmt.Sprintf(
					`{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":0}}`, id,
				),
			)
		case method == "tools/list":
			lists++
			c.message(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","tools":[],"ttlMs":5000}}`, id))
		}
	})
	withEnv(t, dial, func(t *testing.T, env *testEnv) {
		s := env.create(plainConfig)
		env.wantStatus(s.ID, core.MCPRunning)
		for i, want := range []int{1, 1, 1, 2, 2} {
			if _, err := env.Tools(t.Context(), s); err != nil || lists != want {
				t.Errorf("list %d: fetched %d times, %v", i, lists, err)
			}
			time.Sleep(2 * time.Second)
		}
	})
}

// pickyConn rejects messages that contain a certain word, as an HTTP server may.
type pickyConn struct{ *fakeConn }

func (p pickyConn) Send(ctx context.Context, message []byte) error {
	if strings.Contains(string(message), "unspeakable") {
		return &sdk.Error{Code: sdk.CodeUnavailable, Message: "503 of hunter22"}
	}
	return p.fakeConn.Send(ctx, message)
}

func TestMessageThatCannotBeSentFailsAlone(t *testing.T) {
	dial := func(o mcptransport.Open) (mcptransport.Conn, error) {
		c, err := modern(echo)(o)
		return pickyConn{c.(*fakeConn)}, err
	}
	withEnv(t, dial, func(t *testing.T, env *testEnv) {
		s := env.create(`{"command":"peer","env":{"KEY":"hunter22"}}`)
		env.wantStatus(s.ID, core.MCPRunning)
		env.wantFailure(env.call("fs__echo", `{"say":"unspeakable"}`), `"fs" rejected the call: 503 of ***`)
		if r := env.call("fs__echo", `{"say":"hello"}`); textOf(r) != `{"say":"hello"}` {
			t.Errorf("got %q", textOf(r))
		}
		if st := env.wantStatus(s.ID, core.MCPRunning); st.Restarts != 0 {
			t.Error("the server was restarted")
		}
		conn, err := env.Dial(t.Context(), s.ID)
		if err != nil {
			t.Fatal(err)
		}
		err = conn.Send(t.Context(), []byte(`"unspeakable"`))
		if wantCode(t, err, core.CodeUnavailable); !strings.Contains(err.Error(), "503 of ***") {
			t.Errorf("got error %v", err)
		}
		if err := conn.Send(t.Context(), []byte(`{"jsonrpc":"2.0","id":1,"method":"server/discover"}`)); err != nil {
			t.Error(err)
		}
	})
}

// TestNoClientCapabilitiesAreOffered checks that the client offers no capabilities that need an
// answer of an agent, and rejects such requests.
func TestNoClientCapabilitiesAreOffered(t *testing.T) {
	var offered *sdkmcp.ClientCapabilities
	var pingErr error
	withEnv(t, legacy(func(*fakeConn) *sdkmcp.Server {
		s := newServer()
		addTool(s, &sdkmcp.Tool{Name: "ask"},
			func(ctx context.Context, r *sdkmcp.CallToolRequest) (*sdkmcp.CallToolResult, error) {
				offered = r.Session.InitializeParams().Capabilities
				_, pingErr = r.Session.Elicit(ctx, &sdkmcp.ElicitParams{Message: "your password?"})
				return text("asked"), nil
			})
		return s
	}), func(t *testing.T, env *testEnv) {
		s := env.create(plainConfig)
		env.wantStatus(s.ID, core.MCPRunning)
		if r := env.call("fs__ask", ""); textOf(r) != "asked" || pingErr == nil {
			t.Errorf("got %q, %v", textOf(r), pingErr)
		}
		if offered == nil || offered.RootsV2 != nil || offered.Sampling != nil || offered.Elicitation != nil { //nolint:staticcheck // older servers look at them
			t.Errorf("got capabilities %+v", offered)
		}
	})
}

// TestConcurrentStartsStopsAndUpdates checks that the last request wins, and that there is
// never more than one main connection.
func TestConcurrentStartsStopsAndUpdates(t *testing.T) {
	var mu sync.Mutex
	var mainConns []*fakeConn
	maximum := 0
	dial := func(o mcptransport.Open) (mcptransport.Conn, error) {
		c, err := legacy(echo)(o)
		c.(*fakeConn).slow = time.Duration(rand.IntN(3)) * time.Second
		mu.Lock()
		defer mu.Unlock()
		mainConns = slices.DeleteFunc(mainConns, func(c *fakeConn) bool {
			select {
			case <-c.done:
				return true
			default:
				return false
			}
		})
		mainConns = append(mainConns, c.(*fakeConn))
		maximum = max(maximum, len(mainConns))
		return c, err
	}
	withEnv(t, dial, func(t *testing.T, env *testEnv) {
		s := env.create(plainConfig)
		var all sync.WaitGroup
		for worker := range 8 {
			all.Go(func() {
				for i := range 40 {
					var err error
					switch rand.IntN(6) {
					case 0:
						err = env.Start(t.Context(), nil, admin, s.ID)
					case 1:
						err = env.Stop(t.Context(), nil, admin, s.ID)
					case 2:
						err = env.Restart(t.Context(), nil, admin, s.ID)
					case 3:
						stored, _ := env.store.MCPServer(t.Context(), admin, s.ID)
						config := parsed(t, fmt.Sprintf(`{"command":"peer","env":{"N":"%d-%d"}}`, worker, i))
						if err = env.Update(t.Context(), nil, admin, stored, config); core.CodeOf(err) == core.CodePreconditionFailed {
							err = nil
						}
					case 4:
						if env.State(s.ID).Status == core.MCPRunning {
							env.transports.stdio.latest().end(&mcptransport.Exit{Code: 1})
						}
					default:
						_, _ = env.Toolbox().Call(t.Context(), runOf(`{"mcp_servers":["fs"]}`), 1, sdk.ToolCall{Name: "fs__echo"})
					}
					if err != nil {
						t.Error(err)
					}
					time.Sleep(time.Duration(rand.IntN(2000)) * time.Millisecond)
				}
			})
		}
		all.Wait()
		mu.Lock()
		if maximum != 1 {
			t.Errorf("got %d main connections at once", maximum)
		}
		mu.Unlock()
		if err := env.Start(t.Context(), nil, admin, s.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		env.wantStatus(s.ID, core.MCPRunning)
		opens := env.transports.stdio.opened()
		var last struct{ Env map[string]string }
		if err := json.Unmarshal(opens[len(opens)-1].Config, &last); err != nil {
			t.Fatal(err)
		}
		stored := env.store.rows[s.ID]
		if decrypted, err := (fakeEncrypter{"k"}).Decrypt(s.ID, stored.Secrets); err == nil &&
			!strings.Contains(string(decrypted), last.Env["N"]) {
			t.Errorf("it runs with %v, but %s is stored", last.Env, decrypted)
		}
		if err := env.Stop(t.Context(), nil, admin, s.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		env.wantStatus(s.ID, core.MCPStopped)
		if n := env.transports.stdio.alive(); n != 0 {
			t.Errorf("%d connections are still open", n)
		}
	})
}

func TestNothingStartsAfterClose(t *testing.T) {
	withEnv(t, legacy(echo), func(t *testing.T, env *testEnv) {
		s := env.create(plainConfig)
		env.wantStatus(s.ID, core.MCPRunning)
		if err := env.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		env.wantStatus(s.ID, core.MCPStopped)
		if err := env.Restart(t.Context(), nil, admin, s.ID); err != nil {
			t.Fatal(err)
		}
		env.wantStatus(s.ID, core.MCPStopped)
		if !env.store.rows[s.ID].ShouldRun() {
			t.Error("ShouldRun() = false")
		}
		for range env.Logs(t.Context(), s.ID, 10, true) {
			continue
		}
	})
}

func TestCloseEndsWithItsContext(t *testing.T) {
	dial := func(o mcptransport.Open) (mcptransport.Conn, error) {
		c, err := legacy(echo)(o)
		c.(*fakeConn).slow = 20 * time.Second
		return c, err
	}
	withEnv(t, dial, func(t *testing.T, env *testEnv) {
		s := env.create(plainConfig)
		env.wantStatus(s.ID, core.MCPRunning)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := env.Close(ctx); err == nil {
			t.Error("Close returned no error with an open connection")
		}
		env.wantStatus(s.ID, core.MCPStopping)
		synctest.Wait()
	})
}
