package mcp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
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

func TestListsThatGoWrong(t *testing.T) {
	answers := make(chan string, 1)
	dial := scripted(func(c *fakeConn, method string, id json.RawMessage) {
		if shakeHands(c, method, id) {
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
	inWorldOf(t, dial, func(o *mcp.Options) { o.Limits.Tools = 3 }, func(t *testing.T, w *world) {
		s := w.create(`{"command":"peer","env":{"KEY":"hunter22"}}`)
		w.wantStatus(s.ID, core.MCPRunning)
		failing := func(answer string, code core.Code, want string) {
			t.Helper()
			answers <- answer
			_, err := w.Tools(t.Context(), s)
			if wantCode(t, err, code); !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %s", err, want)
			}
		}
		failing(`"error":{"code":-32603,"message":"hunter22 is wrong"}`, core.CodeUpstream, `"fs" can't list its tools: *** is wrong`)
		failing("silence", core.CodeUnavailable, `"fs" did not list its tools within 30s`)
		// A caller who goes away does not spoil the list for others.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		answers <- "silence"
		if _, err := w.Tools(ctx, s); err == nil {
			t.Error("a list of nothing")
		}
		// Pages are put together, and it ends somewhere.
		const page = `"result":{"tools":[{"name":"a%d","inputSchema":{"type":"object"}},{"name":"b%d"}],"nextCursor":"c%d"}`
		go func() {
			answers <- fmt.Sprintf(page, 1, 1, 1)
			answers <- fmt.Sprintf(page, 2, 2, 2)
		}()
		tools, err := w.Tools(t.Context(), s)
		if err != nil || len(tools) != 3 || tools[2].Name != "a2" || string(tools[1].InputSchema) != `{"type":"object"}` {
			t.Errorf("tools %+v, %v", tools, err)
		}
		if log := strings.Join(w.lines(s.ID), "\n"); !strings.Contains(log, "more than 3 tools") {
			t.Errorf("log:\n%s", log)
		}
		if err := w.Restart(t.Context(), admin, s.ID); err != nil {
			t.Fatal(err)
		}
		w.wantStatus(s.ID, core.MCPRunning)
		failing("die", core.CodeUnavailable, "exit code 6")
	})
}

// A list that a server lets be used for a while is asked for again after it.
func TestListWithATimeToLive(t *testing.T) {
	lists := 0
	dial := scripted(func(c *fakeConn, method string, id json.RawMessage) {
		switch {
		case method == "server/discover":
			c.message(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":0}}`, id))
		case method == "tools/list":
			lists++
			c.message(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","tools":[],"ttlMs":5000}}`, id))
		}
	})
	inWorld(t, dial, func(t *testing.T, w *world) {
		s := w.create(plainConfig)
		w.wantStatus(s.ID, core.MCPRunning)
		for i, want := range []int{1, 1, 1, 2, 2} {
			if _, err := w.Tools(t.Context(), s); err != nil || lists != want {
				t.Errorf("list %d: asked %d times, %v", i, lists, err)
			}
			time.Sleep(2 * time.Second)
		}
	})
}

// pickyConn refuses messages with a word in them, as a URL may that is not there.
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
	inWorld(t, dial, func(t *testing.T, w *world) {
		s := w.create(`{"command":"peer","env":{"KEY":"hunter22"}}`)
		w.wantStatus(s.ID, core.MCPRunning)
		w.wantFailure(w.call("fs__echo", `{"say":"unspeakable"}`), `"fs" refused the call: 503 of ***`)
		if r := w.call("fs__echo", `{"say":"hello"}`); textOf(r) != `{"say":"hello"}` {
			t.Errorf("said %q", textOf(r))
		}
		if st := w.wantStatus(s.ID, core.MCPRunning); st.Restarts != 0 {
			t.Error("it was restarted")
		}
		child, err := w.Dial(t.Context(), s.ID)
		if err != nil {
			t.Fatal(err)
		}
		err = child.Send(t.Context(), []byte(`"unspeakable"`))
		if wantCode(t, err, core.CodeUnavailable); !strings.Contains(err.Error(), "503 of ***") {
			t.Errorf("error %v", err)
		}
		if err := child.Send(t.Context(), []byte(`{"jsonrpc":"2.0","id":1,"method":"server/discover"}`)); err != nil {
			t.Error(err)
		}
	})
}

// Agents can't answer a server's questions, so none are invited, and those that
// come all the same are refused.
func TestNothingIsOfferedThatAgentsCannotAnswer(t *testing.T) {
	var offered *sdkmcp.ClientCapabilities
	var asked error
	inWorld(t, legacy(func(*fakeConn) *sdkmcp.Server {
		s := newServer()
		addTool(s, &sdkmcp.Tool{Name: "ask"}, func(ctx context.Context, r *sdkmcp.CallToolRequest) (*sdkmcp.CallToolResult, error) {
			offered = r.Session.InitializeParams().Capabilities
			_, asked = r.Session.Elicit(ctx, &sdkmcp.ElicitParams{Message: "your password?"})
			return text("asked"), nil
		})
		return s
	}), func(t *testing.T, w *world) {
		s := w.create(plainConfig)
		w.wantStatus(s.ID, core.MCPRunning)
		if r := w.call("fs__ask", ""); textOf(r) != "asked" || asked == nil {
			t.Errorf("said %q, %v", textOf(r), asked)
		}
		if offered == nil || offered.RootsV2 != nil || offered.Sampling != nil || offered.Elicitation != nil { //nolint:staticcheck // older servers look at them
			t.Errorf("offered %+v", offered)
		}
	})
}

// Whatever is wished in whatever order, in the end all is as it was wished last,
// and there never was more than one main child.
func TestWishesInDisorder(t *testing.T) {
	var mu sync.Mutex
	var mains []*fakeConn
	most := 0
	dial := func(o mcptransport.Open) (mcptransport.Conn, error) {
		c, err := legacy(echo)(o)
		c.(*fakeConn).slow = time.Duration(rand.IntN(3)) * time.Second
		mu.Lock()
		defer mu.Unlock()
		mains = slices.DeleteFunc(mains, func(c *fakeConn) bool {
			select {
			case <-c.done:
				return true
			default:
				return false
			}
		})
		mains = append(mains, c.(*fakeConn))
		most = max(most, len(mains))
		return c, err
	}
	inWorld(t, dial, func(t *testing.T, w *world) {
		s := w.create(plainConfig)
		var all sync.WaitGroup
		for worker := range 8 {
			all.Go(func() {
				for i := range 40 {
					var err error
					switch rand.IntN(6) {
					case 0:
						err = w.Start(t.Context(), admin, s.ID)
					case 1:
						err = w.Stop(t.Context(), admin, s.ID)
					case 2:
						err = w.Restart(t.Context(), admin, s.ID)
					case 3:
						stored, _ := w.store.MCPServer(t.Context(), admin, s.ID)
						stored.Config = json.RawMessage(fmt.Sprintf(`{"command":"peer","env":{"N":"%d-%d"}}`, worker, i))
						if err = w.Update(t.Context(), admin, stored); core.CodeOf(err) == core.CodePreconditionFailed {
							err = nil
						}
					case 4:
						if w.State(s.ID).Status == core.MCPRunning {
							w.transports.stdio.latest().end(&mcptransport.Exit{Code: 1})
						}
					default:
						_, _ = w.Toolbox().Call(t.Context(), runOf(`{"mcp_servers":["fs"]}`), 1, sdk.ToolCall{Name: "fs__echo"})
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
		if most != 1 {
			t.Errorf("%d main children at once", most)
		}
		mu.Unlock()
		if err := w.Start(t.Context(), admin, s.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		w.wantStatus(s.ID, core.MCPRunning)
		opens := w.transports.stdio.opened()
		var last struct{ Env map[string]string }
		if err := json.Unmarshal(opens[len(opens)-1].Config, &last); err != nil {
			t.Fatal(err)
		}
		stored := w.store.rows[s.ID]
		if sealed, err := (fakeEncrypter{"k"}).Decrypt(s.ID, stored.Secrets); err == nil && !strings.Contains(string(sealed), last.Env["N"]) {
			t.Errorf("it runs with %v, and %s is stored", last.Env, sealed)
		}
		if err := w.Stop(t.Context(), admin, s.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		w.wantStatus(s.ID, core.MCPStopped)
		if n := w.transports.stdio.alive(); n != 0 {
			t.Errorf("%d children are left", n)
		}
	})
}

func TestNothingStartsAfterClose(t *testing.T) {
	inWorld(t, legacy(echo), func(t *testing.T, w *world) {
		s := w.create(plainConfig)
		w.wantStatus(s.ID, core.MCPRunning)
		if err := w.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.wantStatus(s.ID, core.MCPStopped)
		if err := w.Restart(t.Context(), admin, s.ID); err != nil {
			t.Fatal(err)
		}
		w.wantStatus(s.ID, core.MCPStopped)
		if !w.store.rows[s.ID].ShouldRun() {
			t.Error("it is not wanted any more")
		}
		for range w.Logs(t.Context(), s.ID, 10, true) { // it ends
			continue
		}
	})
}

func TestCloseDoesNotWaitForEver(t *testing.T) {
	dial := func(o mcptransport.Open) (mcptransport.Conn, error) {
		c, err := legacy(echo)(o)
		c.(*fakeConn).slow = 20 * time.Second
		return c, err
	}
	inWorld(t, dial, func(t *testing.T, w *world) {
		s := w.create(plainConfig)
		w.wantStatus(s.ID, core.MCPRunning)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := w.Close(ctx); err == nil {
			t.Error("closed with a child that lives")
		}
		w.wantStatus(s.ID, core.MCPStopping)
		synctest.Wait()
	})
}
