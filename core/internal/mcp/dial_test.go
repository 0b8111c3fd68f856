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

func TestDialledChild(t *testing.T) {
	inWorld(t, legacy(echo), func(t *testing.T, w *world) {
		s := w.create(`{"command":"peer","env":{"KEY":"hunter22"}}`)
		child, err := w.Dial(t.Context(), s.ID) // while it is being started
		if err != nil {
			t.Fatal(err)
		}
		opens := w.transports.stdio.opened()
		if len(opens) != 2 || !strings.Contains(string(opens[1].Config), "hunter22") {
			t.Fatalf("opened %d times", len(opens))
		}
		// What it says comes as it was said.
		raw := `{"jsonrpc":"2.0",  "id":"é\u00e9","result":{"n":12345678901234567890}}`
		c := w.transports.stdio.latest()
		c.stderr("a line with hunter22")
		c.message(raw)
		got, err := child.Receive(t.Context())
		if err != nil || string(got) != raw {
			t.Errorf("received %s, %v", got, err)
		}
		if log := strings.Join(w.lines(s.ID), "\n"); !strings.Contains(log, "stderr: a line with ***") {
			t.Errorf("log:\n%s", log)
		}
		// Its death is its own.
		c.message(`{"jsonrpc":"2.0","method":"last"}`)
		c.stderr("out of hunter22")
		c.end(&mcptransport.Exit{Code: 9})
		if got, err = child.Receive(t.Context()); err != nil || !strings.Contains(string(got), "last") {
			t.Errorf("received %s, %v", got, err)
		}
		for range 2 {
			_, err = child.Receive(t.Context())
			if wantCode(t, err, core.CodeUnavailable); !strings.Contains(err.Error(), "exit code 9: out of ***") {
				t.Errorf("error %v", err)
			}
		}
		if err := child.Send(t.Context(), []byte(`{}`)); core.CodeOf(err) != core.CodeUnavailable {
			t.Errorf("send: %v", err)
		}
		w.wantStatus(s.ID, core.MCPRunning)
		if err := child.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestChildrenAreCappedAndEndWithTheServer(t *testing.T) {
	inWorldOf(t, legacy(echo), func(o *mcp.Options) { o.Limits.Children = 2 }, func(t *testing.T, w *world) {
		s := w.create(plainConfig)
		w.wantStatus(s.ID, core.MCPRunning)
		dial := func() mcp.Child {
			t.Helper()
			c, err := w.Dial(t.Context(), s.ID)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		first, second := dial(), dial()
		_, err := w.Dial(t.Context(), s.ID)
		wantCode(t, err, core.CodeUnavailable)
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		third := dial()

		// The crash of the main child leaves them alone.
		w.transports.stdio.conns[0].end(&mcptransport.Exit{Code: 1})
		w.wantStatus(s.ID, core.MCPError)
		if _, err := w.Find(t.Context(), admin, "fs"); err != nil {
			t.Errorf("a server with a connection is not found: %v", err)
		}
		if err := second.Send(t.Context(), []byte(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)); err != nil {
			t.Error(err)
		}
		if _, err := second.Receive(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		w.wantStatus(s.ID, core.MCPRunning)

		for _, end := range []func() error{
			func() error { return w.Restart(t.Context(), admin, s.ID) },
			func() error { return w.Stop(t.Context(), admin, s.ID) },
		} {
			if err := end(); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			for _, c := range []mcp.Child{second, third} {
				_, err := c.Receive(t.Context())
				if wantCode(t, err, core.CodeUnavailable); !strings.Contains(err.Error(), "stopped") {
					t.Errorf("error %v", err)
				}
			}
			if w.State(s.ID).Status == core.MCPRunning {
				second, third = dial(), dial()
			}
		}
		_, err = w.Dial(t.Context(), s.ID)
		wantCode(t, err, core.CodeUnavailable)
	})
}

func TestUnreadMessagesDoNotHoldUpStderr(t *testing.T) {
	inWorld(t, legacy(echo), func(t *testing.T, w *world) {
		s := w.create(plainConfig)
		w.wantStatus(s.ID, core.MCPRunning)
		if _, err := w.Dial(t.Context(), s.ID); err != nil {
			t.Fatal(err)
		}
		c := w.transports.stdio.latest()
		for range 1000 {
			c.message(`{"jsonrpc":"2.0","method":"notifications/message"}`)
		}
		c.stderr("still heard")
		synctest.Wait()
		if log := strings.Join(w.lines(s.ID), "\n"); !strings.Contains(log, "still heard") {
			t.Errorf("log:\n%s", log)
		}
		// A flood waits, and the child with it; its end does not.
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
			t.Error("100 MB are held for a reader who does not read")
		default:
		}
		if err := w.Stop(t.Context(), admin, s.ID); err != nil {
			t.Fatal(err)
		}
		w.wantStatus(s.ID, core.MCPStopped)
		<-flooded
	})
}

func TestFind(t *testing.T) {
	inWorld(t, legacy(echo), func(t *testing.T, w *world) {
		s := w.create(plainConfig)
		if found, err := w.Find(t.Context(), member, "fs"); err != nil || found.ID != s.ID {
			t.Errorf("found %v, %v", found, err)
		}
		_, err := w.Find(t.Context(), member, "none")
		wantCode(t, err, core.CodeNotFound)
		w.store.rows[s.ID].Shared = false
		_, err = w.Find(t.Context(), member, "fs")
		wantCode(t, err, core.CodeNotFound)
		w.wantStatus(s.ID, core.MCPRunning)
		w.transports.stdio.latest().end(&mcptransport.Exit{Code: 5})
		w.wantStatus(s.ID, core.MCPError)
		_, err = w.Find(t.Context(), admin, "fs")
		if wantCode(t, err, core.CodeUnavailable); !strings.Contains(err.Error(), "exit code 5") {
			t.Errorf("error %v", err)
		}
		if err := w.Stop(t.Context(), admin, s.ID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		_, err = w.Find(t.Context(), admin, "fs")
		wantCode(t, err, core.CodeUnavailable)
	})
}

func TestDialOfAServerThatCannotBeReached(t *testing.T) {
	broken := false
	dial := func(o mcptransport.Open) (mcptransport.Conn, error) {
		if broken {
			return nil, &sdk.Error{Code: sdk.CodeUnavailable, Message: "no memory for hunter22"}
		}
		return legacy(echo)(o)
	}
	inWorld(t, dial, func(t *testing.T, w *world) {
		s := w.create(`{"command":"peer","env":{"KEY":"hunter22"}}`)
		w.wantStatus(s.ID, core.MCPRunning)
		broken = true
		_, err := w.Dial(t.Context(), s.ID)
		if wantCode(t, err, core.CodeUnavailable); !strings.Contains(err.Error(), "no memory for ***") || strings.Contains(err.Error(), "hunter22") {
			t.Errorf("error %v", err)
		}
		_, err = w.Dial(t.Context(), "server-none")
		wantCode(t, err, core.CodeUnavailable)
	})
}

func TestDialWaitsForAStartInVain(t *testing.T) {
	inWorld(t, scripted(func(*fakeConn, string, json.RawMessage) {}), func(t *testing.T, w *world) {
		s := w.create(plainConfig)
		began := time.Now()
		_, err := w.Dial(t.Context(), s.ID)
		wantCode(t, err, core.CodeUnavailable)
		if d := time.Since(began); d != 5*time.Second {
			t.Errorf("it took %s", d)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := w.Session(ctx, s.ID); err == nil {
			t.Error("a session of a server that does not run")
		}
	})
}
