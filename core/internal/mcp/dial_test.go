package mcp_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/mcp"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

func TestDial(t *testing.T) {
	withEnv(t, legacy(echo), func(t *testing.T, env *testEnv) {
		s := env.create(`{"command":"peer","env":{"KEY":"hunter22"}}`)
		conn, err := env.Dial(t.Context(), s.ID) // while it is starting
		if err != nil {
			t.Fatal(err)
		}
		opens := env.transports.stdio.opened()
		if len(opens) != 2 || !strings.Contains(string(opens[1].Config), "hunter22") {
			t.Fatalf("opened %d connections", len(opens))
		}
		// Messages arrive unchanged.
		raw := `{"jsonrpc":"2.0",  "id":"é\u00e9","result":{"n":12345678901234567890}}`
		c := env.transports.stdio.latest()
		c.stderr("a line with hunter22")
		c.message(raw)
		got, err := conn.Receive(t.Context())
		if err != nil || string(got) != raw {
			t.Errorf("Receive = %s, %v", got, err)
		}
		if log := strings.Join(env.lines(s.ID), "\n"); !strings.Contains(log, "stderr: a line with ***") {
			t.Errorf("log:\n%s", log)
		}
		// Its end does not affect the server.
		c.message(`{"jsonrpc":"2.0","method":"last"}`)
		c.stderr("out of hunter22")
		c.end(&mcptransport.Exit{Code: 9})
		if got, err = conn.Receive(t.Context()); err != nil || !strings.Contains(string(got), "last") {
			t.Errorf("Receive = %s, %v", got, err)
		}
		for range 2 {
			_, err = conn.Receive(t.Context())
			if wantCode(t, err, core.CodeUnavailable); !strings.Contains(err.Error(), "exit code 9: out of ***") {
				t.Errorf("got error %v", err)
			}
		}
		if err := conn.Send(t.Context(), []byte(`{}`)); core.CodeOf(err) != core.CodeUnavailable {
			t.Errorf("Send: %v", err)
		}
		env.wantStatus(s.ID, core.MCPRunning)
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestDialedConnectionsAreLimitedAndEndWithTheServer(t *testing.T) {
	withOptions(t, legacy(echo), func(o *mcp.Options) { o.Limits.Connections = 2 }, func(t *testing.T, env *testEnv) {
		s := env.create(plainConfig)
		env.wantStatus(s.ID, core.MCPRunning)
		dial := func() mcp.Connection {
			t.Helper()
			c, err := env.Dial(t.Context(), s.ID)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		first, second := dial(), dial()
		_, err := env.Dial(t.Context(), s.ID)
		wantCode(t, err, core.CodeUnavailable)
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		third := dial()

		// A crash of the main connection does not affect them.
		env.transports.stdio.conns[0].end(&mcptransport.Exit{Code: 1})
		env.wantStatus(s.ID, core.MCPError)
		if _, err := env.Find(t.Context(), admin, "fs"); err != nil {
			t.Errorf("Find of a server with an open connection: %v", err)
		}
		if err := second.Send(t.Context(), []byte(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)); err != nil {
			t.Error(err)
		}
		if _, err := second.Receive(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		env.wantStatus(s.ID, core.MCPRunning)

		for _, end := range []func() error{
			func() error { return env.Restart(t.Context(), nil, admin, s.ID) },
			func() error { return env.Stop(t.Context(), nil, admin, s.ID) },
		} {
			if err := end(); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			for _, c := range []mcp.Connection{second, third} {
				_, err := c.Receive(t.Context())
				if wantCode(t, err, core.CodeUnavailable); !strings.Contains(err.Error(), "stopped") {
					t.Errorf("got error %v", err)
				}
			}
			if env.State(s.ID).Status == core.MCPRunning {
				second, third = dial(), dial()
			}
		}
		_, err = env.Dial(t.Context(), s.ID)
		wantCode(t, err, core.CodeUnavailable)
	})
}

func TestUnreadMessagesDoNotBlockStderr(t *testing.T) {
	withEnv(t, legacy(echo), func(t *testing.T, env *testEnv) {
		s := env.create(plainConfig)
		env.wantStatus(s.ID, core.MCPRunning)
		if _, err := env.Dial(t.Context(), s.ID); err != nil {
			t.Fatal(err)
		}
		c := env.transports.stdio.latest()
		for range 1000 {
			c.message(`{"jsonrpc":"2.0","method":"notifications/message"}`)
		}
		c.stderr("still heard")
		synctest.Wait()
		if log := strings.Join(env.lines(s.ID), "\n"); !strings.Contains(log, "still heard") {
			t.Errorf("log:\n%s", log)
		}
		// A flood of messages blocks the connection, but not its end.
		big := `"` + strings.Repeat("x", 1<<20) + `"`
		flooded := make(chan struct{})
		go func() {
			defer close(flooded)
			for range 100 {
				c.message(big)
			}
		}()
		synctest.Wait()
		select {
		case <-flooded:
			t.Error("100 MB are buffered without a reader")
		default:
		}
		if err := env.Stop(t.Context(), nil, admin, s.ID); err != nil {
			t.Fatal(err)
		}
		env.wantStatus(s.ID, core.MCPStopped)
		<-flooded
	})
}

func TestFind(t *testing.T) {
	withEnv(t, legacy(echo), func(t *testing.T, env *testEnv) {
		s := env.create(plainConfig)
		if found, err := env.Find(t.Context(), member, "fs"); err != nil || found.ID != s.ID {
			t.Errorf("Find = %v, %v", found, err)
		}
		_, err := env.Find(t.Context(), member, "none")
		wantCode(t, err, core.CodeNotFound)
		env.store.rows[s.ID].Shared = false
		_, err = env.Find(t.Context(), member, "fs")
		wantCode(t, err, core.CodeNotFound)
		env.wantStatus(s.ID, core.MCPRunning)
		env.transports.stdio.latest().end(&mcptransport.Exit{Code: 5})
		env.wantStatus(s.ID, core.MCPError)
		_, err = env.Find(t.Context(), admin, "fs")
		if wantCode(t, err, core.CodeUnavailable); !strings.Contains(err.Error(), "last_error") ||
			strings.Contains(err.Error(), "exit code 5") {
			t.Errorf("got error %v, want an error without the reason", err)
		}
		if err := env.Stop(t.Context(), nil, admin, s.ID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		_, err = env.Find(t.Context(), admin, "fs")
		wantCode(t, err, core.CodeUnavailable)
	})
}

func TestDial_unreachableServer(t *testing.T) {
	broken := false
	dial := func(o mcptransport.Open) (mcptransport.Conn, error) {
		if broken {
			return nil, &sdk.Error{Code: sdk.CodeUnavailable, Message: "no memory for hunter22"}
		}
		return legacy(echo)(o)
	}
	withEnv(t, dial, func(t *testing.T, env *testEnv) {
		s := env.create(`{"command":"peer","env":{"KEY":"hunter22"}}`)
		env.wantStatus(s.ID, core.MCPRunning)
		broken = true
		_, err := env.Dial(t.Context(), s.ID)
		if wantCode(t, err, core.CodeUnavailable); !strings.Contains(err.Error(), "no memory for ***") ||
			strings.Contains(err.Error(), "hunter22") {
			t.Errorf("got error %v", err)
		}
		_, err = env.Dial(t.Context(), "server-none")
		wantCode(t, err, core.CodeUnavailable)
	})
}

func TestDial_serverStaysStarting(t *testing.T) {
	withEnv(t, scripted(func(*fakeConn, string, json.RawMessage) {}), func(t *testing.T, env *testEnv) {
		s := env.create(plainConfig)
		began := time.Now()
		_, err := env.Dial(t.Context(), s.ID)
		wantCode(t, err, core.CodeUnavailable)
		if d := time.Since(began); d != 5*time.Second {
			t.Errorf("it took %s", d)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := env.Session(ctx, s.ID); err == nil {
			t.Error("got a session of a server that is not running")
		}
	})
}
