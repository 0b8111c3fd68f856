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

func TestServerOfEitherEraRuns(t *testing.T) {
	t.Parallel()
	for era, dial := range map[string]func(mcptransport.Open) (mcptransport.Conn, error){"legacy": legacy(echo), "modern": modern(echo)} {
		t.Run(era, func(t *testing.T) {
			inWorld(t, dial, func(t *testing.T, w *world) {
				s := w.create(plainConfig)
				st := w.wantStatus(s.ID, core.MCPRunning)
				if st.PID != 4711 || st.Sandbox != "none" || st.StartedAt.IsZero() || st.LastError != "" || st.Restarts != 0 {
					t.Errorf("state %+v", st)
				}
				stored, err := w.store.MCPServer(t.Context(), admin, s.ID)
				if err != nil || !slices.Contains(stored.Capabilities, "tools") {
					t.Errorf("capabilities %v, %v", stored.Capabilities, err)
				}
				tools, err := w.Tools(t.Context(), s)
				if err != nil || len(tools) != 1 || tools[0].Name != "echo" || string(tools[0].InputSchema) != `{"type":"object"}` {
					t.Errorf("tools %+v, %v", tools, err)
				}
				if lines := w.lines(s.ID); !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "host: running: peer 1.2.3, MCP 202") }) {
					t.Errorf("log %q", lines)
				}
				// It is asked whether it lives, in the words of its era, and goes on.
				time.Sleep(10 * time.Minute)
				if st := w.wantStatus(s.ID, core.MCPRunning); st.Restarts != 0 {
					t.Errorf("restarted %d times", st.Restarts)
				}
			})
		})
	}
}

func TestWantedServersStartAgain(t *testing.T) {
	inWorld(t, legacy(echo), func(t *testing.T, w *world) {
		config := json.RawMessage(plainConfig)
		for i, wanted := range []bool{true, false} {
			id := fmt.Sprint("server-", i)
			w.store.rows[id] = &core.MCPServer{ID: id, Slug: id, Transport: "stdio", Config: config, DesiredState: core.DesiredMCPState(wanted), Version: 1}
		}
		if err := w.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.wantStatus("server-0", core.MCPRunning)
		w.wantStatus("server-1", core.MCPStopped)
	})
}

func TestCrashIsToldAndRestarted(t *testing.T) {
	inWorld(t, legacy(echo), func(t *testing.T, w *world) {
		s := w.create(`{"command":"peer","env":{"TOKEN":"hunter22"}}`)
		w.wantStatus(s.ID, core.MCPRunning)
		c := w.transports.stdio.latest()
		c.stderr("can't use hunter22")
		c.stderr("")
		c.end(&mcptransport.Exit{Code: 3})
		st := w.wantStatus(s.ID, core.MCPError)
		if want := "the server ended with exit code 3: can't use ***"; st.LastError != want {
			t.Errorf("error %q, want %q", st.LastError, want)
		}
		if st.PID != 0 || !st.StartedAt.IsZero() {
			t.Errorf("a dead server has %+v", st)
		}
		time.Sleep(250 * time.Millisecond)
		st = w.wantStatus(s.ID, core.MCPRunning)
		if st.Restarts != 1 || st.LastError == "" {
			t.Errorf("state %+v: want a restart and why", st)
		}
		if log := strings.Join(w.lines(s.ID), "\n"); strings.Contains(log, "hunter22") || !strings.Contains(log, "stderr: can't use ***") {
			t.Errorf("log:\n%s", log)
		}
		if strings.Contains(w.logged.String(), "hunter22") {
			t.Errorf("the platform's log has the secret:\n%s", w.logged)
		}
	})
}

func TestRestartsWaitLongerAndLonger(t *testing.T) {
	var starts []time.Time
	dial := func(mcptransport.Open) (mcptransport.Conn, error) {
		starts = append(starts, time.Now())
		return nil, &sdk.Error{Code: sdk.CodeNotFound, Message: "there is no command peer"}
	}
	inWorld(t, dial, func(t *testing.T, w *world) {
		s := w.create(plainConfig)
		time.Sleep(10 * time.Minute)
		if st := w.settled(s.ID); !strings.Contains(st.LastError, "there is no command peer") {
			t.Errorf("error %q", st.LastError)
		}
		want := 250 * time.Millisecond
		for i := 1; i < len(starts); i++ {
			if got := starts[i].Sub(starts[i-1]); got < want*8/10 || got > want {
				t.Errorf("wait %d was %s, want about %s", i, got, want)
			}
			want = min(2*want, time.Minute)
		}
		if len(starts) < 15 || len(starts) > 22 {
			t.Errorf("%d starts in 10 minutes", len(starts))
		}
		// A wish acts at once, and begins anew.
		n := len(starts)
		if err := w.Restart(t.Context(), admin, s.ID); err != nil {
			t.Fatal(err)
		}
		if w.settled(s.ID); len(starts) != n+1 {
			t.Errorf("a restart in the pause started it %d times", len(starts)-n)
		}
		if err := w.Stop(t.Context(), admin, s.ID); err != nil {
			t.Fatal(err)
		}
		w.wantStatus(s.ID, core.MCPStopped)
		time.Sleep(time.Hour)
		if w.settled(s.ID); len(starts) != n+1 {
			t.Error("a stopped server was started")
		}
	})
}

func TestGoodLifeResetsTheWait(t *testing.T) {
	inWorld(t, legacy(echo), func(t *testing.T, w *world) {
		s := w.create(plainConfig)
		crash := func(up, wait time.Duration) {
			t.Helper()
			w.wantStatus(s.ID, core.MCPRunning)
			time.Sleep(up)
			w.transports.stdio.latest().end(&mcptransport.Exit{Code: 1})
			w.wantStatus(s.ID, core.MCPError)
			time.Sleep(wait * 7 / 10)
			w.wantStatus(s.ID, core.MCPError)
			time.Sleep(wait * 4 / 10)
		}
		crash(time.Second, 250*time.Millisecond)
		crash(time.Second, 500*time.Millisecond)
		crash(time.Second, time.Second)
		crash(31*time.Second, 250*time.Millisecond)
		w.wantStatus(s.ID, core.MCPRunning)
	})
}

func TestStoppingTakesAsLongAsTheChild(t *testing.T) {
	dial := func(o mcptransport.Open) (mcptransport.Conn, error) {
		c, err := legacy(echo)(o)
		c.(*fakeConn).slow = 3 * time.Second
		return c, err
	}
	inWorld(t, dial, func(t *testing.T, w *world) {
		s := w.create(plainConfig)
		w.wantStatus(s.ID, core.MCPRunning)
		if err := w.Stop(t.Context(), admin, s.ID); err != nil {
			t.Fatal(err)
		}
		w.wantStatus(s.ID, core.MCPStopping)
		// What is wanted meanwhile comes after the end of the old one.
		if err := w.Start(t.Context(), admin, s.ID); err != nil {
			t.Fatal(err)
		}
		w.wantStatus(s.ID, core.MCPStopping)
		if n := len(w.transports.stdio.opened()); n != 1 {
			t.Errorf("%d children at once", n)
		}
		time.Sleep(3 * time.Second)
		w.wantStatus(s.ID, core.MCPRunning)
		if err := w.Stop(t.Context(), admin, s.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		if st := w.wantStatus(s.ID, core.MCPStopped); st.LastError != "" || st.PID != 0 {
			t.Errorf("state %+v", st)
		}
	})
}

func TestHangingServerIsRestarted(t *testing.T) {
	t.Parallel()
	refuse := func(c *fakeConn, id json.RawMessage) {
		c.message(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"what is a ping?"}}`, id))
	}
	// ping is what a server does when it is asked for the nth time.
	peer := func(modern bool, ping func(c *fakeConn, id json.RawMessage, n int)) func(mcptransport.Open) (mcptransport.Conn, error) {
		return func(o mcptransport.Open) (mcptransport.Conn, error) {
			n, met := 0, false
			return scripted(func(c *fakeConn, method string, id json.RawMessage) {
				switch {
				case modern && !met:
					met = true
					c.message(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{},"ttlMs":0}}`, id))
				case !modern && shakeHands(c, method, id):
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
			inWorld(t, test.dial, func(t *testing.T, w *world) {
				s := w.create(plainConfig)
				w.wantStatus(s.ID, core.MCPRunning)
				time.Sleep(99 * time.Second)
				if st := w.wantStatus(s.ID, core.MCPRunning); st.Restarts != 0 {
					t.Error("restarted after two misses")
				}
				time.Sleep(2 * time.Second)
				st := w.wantStatus(s.ID, core.MCPRunning)
				if test.hangs && (st.Restarts != 1 || !strings.Contains(st.LastError, "it hangs")) {
					t.Errorf("state %+v", st)
				}
				if time.Sleep(10 * time.Minute); !test.hangs && w.wantStatus(s.ID, core.MCPRunning).Restarts != 0 {
					t.Error("it was restarted")
				}
			})
		})
	}
}

func TestServersThatDoNotStart(t *testing.T) {
	t.Parallel()
	refuse := func(c *fakeConn, _ string, id json.RawMessage) {
		c.message(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32000,"message":"not with s3cret"}}`, id))
	}
	for name, test := range map[string]struct {
		dial func(mcptransport.Open) (mcptransport.Conn, error)
		// after is when it has failed, and want why.
		after time.Duration
		want  string
	}{
		"never answers": {scripted(func(*fakeConn, string, json.RawMessage) {}), 2 * time.Minute, "it did not answer within 2m0s"},
		"refuses":       {scripted(refuse), 0, "it refused the handshake: not with ***"},
		"ends at once": {scripted(func(c *fakeConn, _ string, _ json.RawMessage) {
			c.end(&mcptransport.Exit{Code: 127, Message: "no peer"})
		}), 0, "no peer"},
		"fails without words": {func(mcptransport.Open) (mcptransport.Conn, error) { return nil, errors.New("grpc: s3cret") }, 0, "it did not start: the connection to it was lost"},
		"says its secret": {func(mcptransport.Open) (mcptransport.Conn, error) {
			return nil, &sdk.Error{Code: sdk.CodeUnavailable, Message: "s3cret is wrong"}
		}, 0, "it did not start: *** is wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, test.dial, func(t *testing.T, w *world) {
				s := w.create(`{"command":"peer","env":{"KEY":"s3cret"}}`)
				time.Sleep(test.after)
				if st := w.wantStatus(s.ID, core.MCPError); !strings.HasPrefix(st.LastError, test.want) {
					t.Errorf("error %q, want %q", st.LastError, test.want)
				}
			})
		})
	}
}

func TestOldServerThatIgnoresWhatItDoesNotKnow(t *testing.T) {
	dial := scripted(func(c *fakeConn, method string, id json.RawMessage) {
		if method != "server/discover" {
			shakeHands(c, method, id)
		}
	})
	inWorld(t, dial, func(t *testing.T, w *world) {
		s := w.create(plainConfig)
		time.Sleep(19 * time.Second)
		w.wantStatus(s.ID, core.MCPStarting)
		time.Sleep(time.Second)
		w.wantStatus(s.ID, core.MCPRunning)
	})
}

func TestOldServerThatDiesOfWhatItDoesNotKnow(t *testing.T) {
	dial := scripted(func(c *fakeConn, method string, id json.RawMessage) {
		if method == "server/discover" {
			c.end(&mcptransport.Exit{Code: 1, Message: "expected initialize"})
			return
		}
		if !shakeHands(c, method, id) {
			c.message(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{}}`, id))
		}
	})
	inWorld(t, dial, func(t *testing.T, w *world) {
		s := w.create(plainConfig)
		if st := w.wantStatus(s.ID, core.MCPError); st.LastError != "expected initialize" {
			t.Errorf("error %q", st.LastError)
		}
		time.Sleep(250 * time.Millisecond)
		w.wantStatus(s.ID, core.MCPRunning)
		w.transports.stdio.latest().end(&mcptransport.Exit{Code: 1})
		time.Sleep(time.Second)
		if st := w.wantStatus(s.ID, core.MCPRunning); st.Restarts != 2 {
			t.Errorf("%d restarts: it forgot what it had learnt", st.Restarts)
		}
	})
}

func TestGarbageIsSkipped(t *testing.T) {
	dial := func(o mcptransport.Open) (mcptransport.Conn, error) {
		c, err := legacy(echo)(o)
		for _, garbage := range []string{`{"no":"rpc"}`, `[]`, `{`, `{"jsonrpc":"2.0","id":99,"result":{}}`} {
			c.(*fakeConn).message(garbage)
		}
		return c, err
	}
	inWorld(t, dial, func(t *testing.T, w *world) {
		s := w.create(plainConfig)
		w.wantStatus(s.ID, core.MCPRunning)
		if _, err := w.Tools(t.Context(), s); err != nil {
			t.Error(err)
		}
		if log := strings.Join(w.lines(s.ID), "\n"); !strings.Contains(log, `host: not a JSON-RPC message: {"no":"rpc"}`) {
			t.Errorf("log:\n%s", log)
		}
	})
}

func TestFrozenTransportIsGivenUp(t *testing.T) {
	dial := func(o mcptransport.Open) (mcptransport.Conn, error) {
		c, err := legacy(echo)(o)
		c.(*fakeConn).slow = time.Hour
		return c, err
	}
	inWorld(t, dial, func(t *testing.T, w *world) {
		s := w.create(plainConfig)
		w.wantStatus(s.ID, core.MCPRunning)
		if err := w.Stop(t.Context(), admin, s.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(29 * time.Second)
		w.wantStatus(s.ID, core.MCPStopping)
		time.Sleep(time.Second)
		w.wantStatus(s.ID, core.MCPStopped)
		if log := strings.Join(w.lines(s.ID), "\n"); !strings.Contains(log, "did not end it within 30s") {
			t.Errorf("log:\n%s", log)
		}
		time.Sleep(time.Hour) // for the transport to come to an end
	})
}
