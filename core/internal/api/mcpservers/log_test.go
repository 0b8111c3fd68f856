package mcpservers

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

// logText returns line n in JSON.
func logText(n int) string {
	l := mcpLine(n)
	return fmt.Sprintf(`"seq":%d,"timestamp":"%s","source":"stderr","text":"line <%c>\n\ufffd"}`,
		n, l.Time.Format("2006-01-02T15:04:05.000000Z"), rune('a'+n%26))
}

func logEvent(n int) string {
	return fmt.Sprintf("id: %d\ndata: {\"type\":\"log\",%s\n\n", n, logText(n))
}

func TestLogs(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.mcp.add("server-1", "ann")
	at := mcpServersAt + "server-1/logs"
	if s := strings.TrimSpace(env.Do(t, "ann", "GET", at, "").Want(200).Body.String()); s != `{"logs":[]}` {
		t.Errorf("got %s, want an empty log", s)
	}
	env.mcp.log(300)
	for query, first := range map[string]int{"": 201, "?tail=2": 299, "?tail=10000&follow=false": 1} {
		got := env.Do(t, "ann", "GET", at+query, "").Want(200)
		var want []string
		for n := first; n <= 300; n++ {
			want = append(want, "{"+logText(n))
		}
		if s := strings.TrimSpace(got.Body.String()); s != `{"logs":[`+strings.Join(want, ",")+`]}` {
			t.Errorf("%s: got %.300s, want the lines %v", query, s, want)
		}
		if got.Header().Get("Content-Type") != "application/json" {
			t.Errorf("got Content-Type %q, want application/json", got.Header().Get("Content-Type"))
		}
	}
}

// TestLogs_follow expects the last lines, then each new line, until the server is deleted.
func TestLogs_follow(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.mcp.add("server-1", "ann")
	env.mcp.log(3)
	stream, _ := env.OpenStream(t, mcpServersAt+"server-1/logs?follow=true&tail=2")
	wantText(t, stream, logEvent(2)+logEvent(3))
	for _, n := range []int{4, 7} {
		env.mcp.more <- mcpLine(n)
		wantText(t, stream, logEvent(n))
	}
	close(env.mcp.deleted)
	if rest, err := io.ReadAll(stream); err != nil || len(rest) > 0 {
		t.Errorf("got %s (%v) at the end, want nothing", rest, err)
	}
}

func wantText(t *testing.T, r io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
		t.Fatalf("got %q, %v, want %q", got, err, want)
	}
}

func TestLogs_resume(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		last  string
		first int
	}{
		"from the start":   {"0", 1},
		"in the middle":    {"298", 299},
		"at the end":       {"300", 301},
		"before a restart": {"5000", 1},
	} {
		env := newEnv(t)
		env.mcp.add("server-1", "ann")
		env.mcp.log(300)
		close(env.mcp.deleted) // so that the stream ends after the stored lines
		got := env.Do(t, "ann", "GET", mcpServersAt+"server-1/logs?follow=true&tail=1", "",
			"Last-Event-ID: "+c.last).Want(200)
		var want strings.Builder
		for n := c.first; n <= 300; n++ {
			want.WriteString(logEvent(n))
		}
		if got.Body.String() != want.String() || got.Header().Get("Content-Type") != "text/event-stream" {
			t.Errorf("%s: got %.200s, want %s", name, got.Body, want.String())
		}
	}
}

// TestLogs_endWithClient expects that following ends when the client disconnects or its login ends, even
// while lines arrive.
func TestLogs_endWithClient(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(env *testEnv, disconnect func()){
		"disconnected": func(_ *testEnv, disconnect func()) { disconnect() },
		"signed out":   func(env *testEnv, _ func()) { env.Auth.End("ann") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := newEnv(t, func(o *api.Options, _ *Options) { o.Recheck = time.Millisecond })
			env.mcp.add("server-1", "ann")
			stream, leave := env.OpenStream(t, mcpServersAt+"server-1/logs?follow=true")
			env.mcp.more <- mcpLine(1)
			wantText(t, stream, logEvent(1))
			end(env, leave)
			deadline := time.After(10 * time.Second)
			for env.mcp.following() > 0 {
				select {
				case env.mcp.more <- mcpLine(2):
				case <-deadline:
					t.Fatal("the server still follows the log of a closed stream")
				case <-time.After(time.Millisecond):
				}
			}
		})
	}
}

// TestLogs_stalledClient expects that following ends when a client disconnects that has not read many
// lines.
func TestLogs_stalledClient(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.mcp.add("server-1", "ann")
	text := strings.Repeat("x", 32<<10)
	for i := range 1000 {
		env.mcp.lines = append(env.mcp.lines, core.MCPLogLine{Seq: int64(i + 1), Source: "stderr", Text: text})
	}
	stream, leave := env.OpenStream(t, mcpServersAt+"server-1/logs?follow=true&tail=10000")
	if _, err := bufio.NewReader(stream).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	leave()
	deadline := time.After(10 * time.Second)
	for env.mcp.following() > 0 {
		select {
		case <-deadline:
			t.Fatal("the server still follows the log of a closed stream")
		case <-time.After(time.Millisecond):
		}
	}
}
