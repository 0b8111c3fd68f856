package mcp_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

const plainConfig = `{"command":"peer"}`

func TestServersOfBothErasRun(t *testing.T) {
	t.Parallel()
	for era, dial := range map[string]func(mcptransport.Open) (mcptransport.Conn, error){
		"legacy": legacy(echo), "modern": modern(echo),
	} {
		t.Run(era, func(t *testing.T) {
			withEnv(t, dial, func(t *testing.T, env *testEnv) {
				s := env.create(plainConfig)
				st := env.wantStatus(s.ID, core.MCPRunning)
				if st.PID != 4711 || st.Sandbox != "none" || st.StartedAt.IsZero() || st.LastError != "" || st.Restarts != 0 {
					t.Errorf("got state %+v", st)
				}
				stored, err := env.store.MCPServer(t.Context(), admin, s.ID)
				if err != nil || !slices.Contains(stored.Capabilities, "tools") {
					t.Errorf("got capabilities %v, %v", stored.Capabilities, err)
				}
				tools, err := env.Tools(t.Context(), s)
				if err != nil || len(tools) != 1 || tools[0].Name != "echo" || tools[0].InputSchema != `{"type":"object"}` {
					t.Errorf("Tools = %+v, %v", tools, err)
				}
				if lines := env.lines(s.ID); !slices.ContainsFunc(lines,
					func(l string) bool { return strings.HasPrefix(l, "host: running: peer 1.2.3, MCP 202") }) {
					t.Errorf("got log %q", lines)
				}
				// Pings of its era keep it running.
				time.Sleep(10 * time.Minute)
				if st := env.wantStatus(s.ID, core.MCPRunning); st.Restarts != 0 {
					t.Errorf("restarted %d times", st.Restarts)
				}
			})
		})
	}
}

func TestBeginStartsDesiredServers(t *testing.T) {
	withEnv(t, legacy(echo), func(t *testing.T, env *testEnv) {
		config := json.RawMessage(plainConfig)
		for i, shouldRun := range []bool{true, false} {
			id := fmt.Sprint("server-", i)
			env.store.rows[id] = &core.MCPServer{
				ID: id, Slug: id, Transport: "stdio", Config: config, DesiredState: core.DesiredMCPState(shouldRun), Version: 1,
			}
		}
		if err := env.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		env.wantStatus("server-0", core.MCPRunning)
		env.wantStatus("server-1", core.MCPStopped)
	})
}

func TestCrashIsReportedAndRestarted(t *testing.T) {
	withEnv(t, legacy(echo), func(t *testing.T, env *testEnv) {
		s := env.create(`{"command":"peer","env":{"TOKEN":"hunter22"}}`)
		env.wantStatus(s.ID, core.MCPRunning)
		c := env.transports.stdio.latest()
		c.stderr("can't use hunter22")
		c.stderr("")
		c.end(&mcptransport.Exit{Code: 3})
		st := env.wantStatus(s.ID, core.MCPError)
		if want := "the server ended with exit code 3: can't use ***"; st.LastError != want {
			t.Errorf("got error %q, want %q", st.LastError, want)
		}
		if st.PID != 0 || !st.StartedAt.IsZero() {
			t.Errorf("a failed server has %+v", st)
		}
		time.Sleep(250 * time.Millisecond)
		st = env.wantStatus(s.ID, core.MCPRunning)
		if st.Restarts != 1 || st.LastError == "" {
			t.Errorf("got state %+v, want one restart and the error", st)
		}
		if log := strings.Join(env.lines(s.ID), "\n"); strings.Contains(log, "hunter22") ||
			!strings.Contains(log, "stderr: can't use ***") {
			t.Errorf("log:\n%s", log)
		}
		if strings.Contains(env.logged.String(), "hunter22") {
			t.Errorf("the server log contains the secret:\n%s", env.logged)
		}
	})
}

func TestRestartDelaysDouble(t *testing.T) {
	var starts []time.Time
	dial := func(mcptransport.Open) (mcptransport.Conn, error) {
		starts = append(starts, time.Now())
		return nil, &sdk.Error{Code: sdk.CodeNotFound, Message: "there is no command peer"}
	}
	withEnv(t, dial, func(t *testing.T, env *testEnv) {
		s := env.create(plainConfig)
		time.Sleep(10 * time.Minute)
		if st := env.settled(s.ID); !strings.Contains(st.LastError, "there is no command peer") {
			t.Errorf("got error %q", st.LastError)
		}
		want := 250 * time.Millisecond
		for i := 1; i < len(starts); i++ {
			if got := starts[i].Sub(starts[i-1]); got < want*8/10 || got > want {
				t.Errorf("delay %d = %s, want about %s", i, got, want)
			}
			want = min(2*want, time.Minute)
		}
		if len(starts) < 15 || len(starts) > 22 {
			t.Errorf("got %d starts in 10 minutes", len(starts))
		}
		// A restart takes effect during the delay and resets it.
		n := len(starts)
		if err := env.Restart(t.Context(), nil, admin, s.ID); err != nil {
			t.Fatal(err)
		}
		if env.settled(s.ID); len(starts) != n+1 {
			t.Errorf("got %d starts after a restart during the delay, want 1", len(starts)-n)
		}
		if err := env.Stop(t.Context(), nil, admin, s.ID); err != nil {
			t.Fatal(err)
		}
		env.wantStatus(s.ID, core.MCPStopped)
		time.Sleep(time.Hour)
		if env.settled(s.ID); len(starts) != n+1 {
			t.Error("a stopped server was started")
		}
	})
}

func TestLongSessionResetsTheDelay(t *testing.T) {
	withEnv(t, legacy(echo), func(t *testing.T, env *testEnv) {
		s := env.create(plainConfig)
		crash := func(up, wait time.Duration) {
			t.Helper()
			env.wantStatus(s.ID, core.MCPRunning)
			time.Sleep(up)
			env.transports.stdio.latest().end(&mcptransport.Exit{Code: 1})
			env.wantStatus(s.ID, core.MCPError)
			time.Sleep(wait * 7 / 10)
			env.wantStatus(s.ID, core.MCPError)
			time.Sleep(wait * 4 / 10)
		}
		crash(time.Second, 250*time.Millisecond)
		crash(time.Second, 500*time.Millisecond)
		crash(time.Second, time.Second)
		crash(31*time.Second, 250*time.Millisecond)
		env.wantStatus(s.ID, core.MCPRunning)
	})
}

func TestStoppingWaitsForTheConnection(t *testing.T) {
	dial := func(o mcptransport.Open) (mcptransport.Conn, error) {
		c, err := legacy(echo)(o)
		c.(*fakeConn).slow = 3 * time.Second
		return c, err
	}
	withEnv(t, dial, func(t *testing.T, env *testEnv) {
		s := env.create(plainConfig)
		env.wantStatus(s.ID, core.MCPRunning)
		if err := env.Stop(t.Context(), nil, admin, s.ID); err != nil {
			t.Fatal(err)
		}
		env.wantStatus(s.ID, core.MCPStopping)
		// A start during that time takes effect when the old connection has ended.
		if err := env.Start(t.Context(), nil, admin, s.ID); err != nil {
			t.Fatal(err)
		}
		env.wantStatus(s.ID, core.MCPStopping)
		if n := len(env.transports.stdio.opened()); n != 1 {
			t.Errorf("got %d connections at once", n)
		}
		time.Sleep(3 * time.Second)
		env.wantStatus(s.ID, core.MCPRunning)
		if err := env.Stop(t.Context(), nil, admin, s.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		if st := env.wantStatus(s.ID, core.MCPStopped); st.LastError != "" || st.PID != 0 {
			t.Errorf("got state %+v", st)
		}
	})
}

func TestHangingServerIsRestarted(t *testing.T) {
	t.Parallel()
	refuse := func(c *fakeConn, id json.RawMessage) {
		c.message(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"what is a ping?"}}`, id))
	}
	// ping handles the nth ping.
	peer := func(
		modern bool, ping func(c *fakeConn, id json.RawMessage, n int),
	) func(mcptransport.Open) (mcptransport.Conn, error) {
		return func(o mcptransport.Open) (mcptransport.Conn, error) {
			n, met := 0, false
			return scripted(func(c *fakeConn, method string, id json.RawMessage) {
				switch {
				case modern && !met:
					met = true
					c.message(
						fmt.Sprintf(
							`{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{},"ttlMs":0}}`, id,
						),
					)
				case !modern && handshake(c, method, id):
				case method == "ping" || method == "server/discover":
					n++
					ping(c, id, n)
				}
			})(o)
		}
	}
	for name, test := range map[string]struct {
		dial  func(mcptransport.Open) (mcptransport.Conn, error)
		hangs bool
	}{
		"legacy, silent": {peer(false, func(*fakeConn, json.RawMessage, int) {}), true},
		"modern, silent": {peer(true, func(*fakeConn, json.RawMessage, int) {}), true},
		"refuses pings":  {peer(false, func(c *fakeConn, id json.RawMessage, _ int) { refuse(c, id) }), false},
		"misses two of three": {peer(false, func(c *fakeConn, id json.RawMessage, n int) {
			if n%3 == 0 {
				refuse(c, id)
			}
		}), false},
	} {
		t.Run(name, func(t *testing.T) {
			withEnv(t, test.dial, func(t *testing.T, env *testEnv) {
				s := env.create(plainConfig)
				env.wantStatus(s.ID, core.MCPRunning)
				time.Sleep(99 * time.Second)
				if st := env.wantStatus(s.ID, core.MCPRunning); st.Restarts != 0 {
					t.Error("restarted after two misses")
				}
				time.Sleep(2 * time.Second)
				st := env.wantStatus(s.ID, core.MCPRunning)
				if test.hangs && (st.Restarts != 1 || !strings.Contains(st.LastError, "it is not responding")) {
					t.Errorf("got state %+v", st)
				}
				if time.Sleep(10 * time.Minute); !test.hangs && env.wantStatus(s.ID, core.MCPRunning).Restarts != 0 {
					t.Error("the server was restarted")
				}
			})
		})
	}
}

func TestStartErrors(t *testing.T) {
	t.Parallel()
	refuse := func(c *fakeConn, _ string, id json.RawMessage) {
		c.message(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32000,"message":"not with s3cret"}}`, id))
	}
	for name, test := range map[string]struct {
		dial func(mcptransport.Open) (mcptransport.Conn, error)
		// after is how long the start takes to fail, and want is the error.
		after time.Duration
		want  string
	}{
		"never answers": {scripted(func(*fakeConn, string, json.RawMessage) {}), 2 * time.Minute, "it did not complete the MCP handshake within 2m0s"},
		"refuses":       {scripted(refuse), 0, "it rejected the MCP handshake: not with ***"},
		"ends immediately": {scripted(func(c *fakeConn, _ string, _ json.RawMessage) {
			c.end(&mcptransport.Exit{Code: 127, Message: "no peer"})
		}), 0, "no peer"},
		"fails without words": {func(mcptransport.Open) (mcptransport.Conn, error) { return nil, errors.New("grpc: s3cret") }, 0, "it failed to start: the connection was lost"},
		"says its secret": {func(mcptransport.Open) (mcptransport.Conn, error) {
			return nil, &sdk.Error{Code: sdk.CodeUnavailable, Message: "s3cret is wrong"}
		}, 0, "it failed to start: *** is wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			withEnv(t, test.dial, func(t *testing.T, env *testEnv) {
				s := env.create(`{"command":"peer","env":{"KEY":"s3cret"}}`)
				time.Sleep(test.after)
				if st := env.wantStatus(s.ID, core.MCPError); !strings.HasPrefix(st.LastError, test.want) {
					t.Errorf("got error %q, want %q", st.LastError, test.want)
				}
			})
		})
	}
}

func TestLegacyServerThatIgnoresDiscover(t *testing.T) {
	dial := scripted(func(c *fakeConn, method string, id json.RawMessage) {
		if method != "server/discover" {
			handshake(c, method, id)
		}
	})
	withEnv(t, dial, func(t *testing.T, env *testEnv) {
		s := env.create(plainConfig)
		time.Sleep(19 * time.Second)
		env.wantStatus(s.ID, core.MCPStarting)
		time.Sleep(time.Second)
		env.wantStatus(s.ID, core.MCPRunning)
	})
}

func TestLegacyServerThatExitsOnDiscover(t *testing.T) {
	dial := scripted(func(c *fakeConn, method string, id json.RawMessage) {
		if method == "server/discover" {
			c.end(&mcptransport.Exit{Code: 1, Message: "expected initialize"})
			return
		}
		if !handshake(c, method, id) {
			c.message(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{}}`, id))
		}
	})
	withEnv(t, dial, func(t *testing.T, env *testEnv) {
		s := env.create(plainConfig)
		if st := env.wantStatus(s.ID, core.MCPError); st.LastError != "expected initialize" {
			t.Errorf("got error %q", st.LastError)
		}
		time.Sleep(250 * time.Millisecond)
		env.wantStatus(s.ID, core.MCPRunning)
		env.transports.stdio.latest().end(&mcptransport.Exit{Code: 1})
		time.Sleep(time.Second)
		if st := env.wantStatus(s.ID, core.MCPRunning); st.Restarts != 2 {
			t.Errorf("got %d restarts, want 2 without another server/discover", st.Restarts)
		}
	})
}

func TestInvalidMessagesAreSkipped(t *testing.T) {
	dial := func(o mcptransport.Open) (mcptransport.Conn, error) {
		c, err := legacy(echo)(o)
		for _, garbage := range []string{`{"no":"rpc"}`, `[]`, `{`, `{"jsonrpc":"2.0","id":99,"result":{}}`} {
			c.(*fakeConn).message(garbage)
		}
		return c, err
	}
	withEnv(t, dial, func(t *testing.T, env *testEnv) {
		s := env.create(plainConfig)
		env.wantStatus(s.ID, core.MCPRunning)
		if _, err := env.Tools(t.Context(), s); err != nil {
			t.Error(err)
		}
		if log := strings.Join(env.lines(s.ID), "\n"); !strings.Contains(log,
			`host: received a message that is not JSON-RPC: {"no":"rpc"}`) {
			t.Errorf("log:\n%s", log)
		}
	})
}

func TestHungTransportIsAbandoned(t *testing.T) {
	dial := func(o mcptransport.Open) (mcptransport.Conn, error) {
		c, err := legacy(echo)(o)
		c.(*fakeConn).slow = time.Hour
		return c, err
	}
	withEnv(t, dial, func(t *testing.T, env *testEnv) {
		s := env.create(plainConfig)
		env.wantStatus(s.ID, core.MCPRunning)
		if err := env.Stop(t.Context(), nil, admin, s.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(29 * time.Second)
		env.wantStatus(s.ID, core.MCPStopping)
		time.Sleep(time.Second)
		env.wantStatus(s.ID, core.MCPStopped)
		if log := strings.Join(env.lines(s.ID), "\n"); !strings.Contains(log, "did not close the connection within 30s") {
			t.Errorf("log:\n%s", log)
		}
		time.Sleep(time.Hour) // let the transport's Close return
	})
}
