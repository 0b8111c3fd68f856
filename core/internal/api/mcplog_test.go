package api

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
)

// logText is line n in JSON.
func logText(n int) string {
	l := mcpLine(n)
	return fmt.Sprintf(`"seq":%d,"timestamp":"%s","source":"stderr","text":"line <%c>\n\ufffd"}`, n, l.Time.Format(timeFormat), rune('a'+n%26))
}

func logEvent(n int) string {
	return fmt.Sprintf("id: %d\ndata: {\"type\":\"log\",%s\n\n", n, logText(n))
}

func TestMCPLog(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mcp.add("server-1", "ann")
	at := mcpServersAt + "server-1/logs"
	if s := strings.TrimSpace(b.do(t, "ann", "GET", at, "").want(200).Body.String()); s != `{"logs":[]}` {
		t.Errorf("an empty one is %s", s)
	}
	b.mcp.log(300)
	for query, first := range map[string]int{"": 201, "?tail=2": 299, "?tail=10000&follow=false": 1} {
		got := b.do(t, "ann", "GET", at+query, "").want(200)
		var want []string
		for n := first; n <= 300; n++ {
			want = append(want, "{"+logText(n))
		}
		if s := strings.TrimSpace(got.Body.String()); s != `{"logs":[`+strings.Join(want, ",")+`]}` {
			t.Errorf("%s gives %.300s", query, s)
		}
		if got.Header().Get("Content-Type") != "application/json" {
			t.Errorf("it is sent as %s", got.Header().Get("Content-Type"))
		}
	}
}

// TestMCPLogFollowed: the last lines, then each as it comes, until the server is deleted.
func TestMCPLogFollowed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mcp.add("server-1", "ann")
	b.mcp.log(3)
	stream, _ := b.openStream(t, mcpServersAt+"server-1/logs?follow=true&tail=2")
	wantText(t, stream, logEvent(2)+logEvent(3))
	for _, n := range []int{4, 7} {
		b.mcp.more <- mcpLine(n)
		wantText(t, stream, logEvent(n))
	}
	close(b.mcp.deleted)
	if rest, err := io.ReadAll(stream); err != nil || len(rest) > 0 {
		t.Errorf("it ends with %s, %v", rest, err)
	}
}

func wantText(t *testing.T, r io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
		t.Fatalf("got %q, %v, want %q", got, err, want)
	}
}

func TestMCPLogGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		last  string
		first int
	}{
		"from the start":        {"0", 1},
		"in the middle":         {"298", 299},
		"at the end":            {"300", 301},
		"before a new counting": {"5000", 1},
	} {
		b := newBench(t)
		b.mcp.add("server-1", "ann")
		b.mcp.log(300)
		close(b.mcp.deleted) // so that it ends after what is there
		got := b.do(t, "ann", "GET", mcpServersAt+"server-1/logs?follow=true&tail=1", "", "Last-Event-ID: "+c.last).want(200)
		var want strings.Builder
		for n := c.first; n <= 300; n++ {
			want.WriteString(logEvent(n))
		}
		if got.Body.String() != want.String() || got.Header().Get("Content-Type") != "text/event-stream" {
			t.Errorf("%s: got %.200s", name, got.Body)
		}
	}
}

// TestMCPLogLetsGo: nobody follows any more once the client has left or its
// login has ended, even while lines come.
func TestMCPLogLetsGo(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(t *testing.T, b *bench, leave func()){
		"left": func(_ *testing.T, _ *bench, leave func()) { leave() },
		"signed out": func(t *testing.T, b *bench, _ func()) {
			if err := b.auth.Logout(t.Context(), "login-ann"); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.api.recheck = time.Millisecond
			b.mcp.add("server-1", "ann")
			stream, leave := b.openStream(t, mcpServersAt+"server-1/logs?follow=true")
			b.mcp.more <- mcpLine(1)
			wantText(t, stream, logEvent(1))
			end(t, b, leave)
			deadline := time.After(10 * time.Second)
			for b.mcp.following() > 0 {
				select {
				case b.mcp.more <- mcpLine(2):
				case <-deadline:
					t.Fatal("somebody still follows")
				case <-time.After(time.Millisecond):
				}
			}
		})
	}
}

// TestMCPLogOfAStalledClient: what waits for a client that is gone is let go of
// with it, in the middle of many lines.
func TestMCPLogOfAStalledClient(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mcp.add("server-1", "ann")
	text := strings.Repeat("x", 32<<10)
	for i := range 1000 {
		b.mcp.lines = append(b.mcp.lines, core.MCPLogLine{Seq: int64(i + 1), Source: "stderr", Text: text})
	}
	stream, leave := b.openStream(t, mcpServersAt+"server-1/logs?follow=true&tail=10000")
	if _, err := bufio.NewReader(stream).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	leave()
	deadline := time.After(10 * time.Second)
	for b.mcp.following() > 0 {
		select {
		case <-deadline:
			t.Fatal("somebody still follows")
		case <-time.After(time.Millisecond):
		}
	}
}
