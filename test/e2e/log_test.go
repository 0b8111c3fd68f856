package e2e_test

import (
	"database/sql"
	"encoding/json"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/uptrace/bun/driver/pgdriver"
)

// logLine is a line of the log in the format json, with the fields that the tests look at.
type logLine struct {
	Time, Level, Msg string
	Method, Path     string
	Error            string
	Duration         any      `json:"duration"`
	DurationMS       *float64 `json:"duration_ms"`
}

// logLines returns the lines of an output, each of which must be JSON with a time, a level and a message.
func logLines(t *testing.T, what, output string) []logLine {
	t.Helper()
	var lines []logLine
	for text := range strings.Lines(output) {
		var l logLine
		if err := json.Unmarshal([]byte(text), &l); err != nil || l.Time == "" || l.Level == "" || l.Msg == "" {
			t.Errorf("%s: got line %q, want JSON with time, level and msg", what, text)
		}
		lines = append(lines, l)
	}
	return lines
}

// With --log-format=json everything that a server prints has one format, also while its plugins crash and its
// database connections are lost: the banner, and the lines of libraries.
func TestLogFormat(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, on func(*server) *server) {
		s := newServer(t, openPlugins)
		s.env = slices.DeleteFunc(s.env, func(v string) bool { return strings.HasPrefix(v, "AGENTAREA_ADMIN_PASSWORD=") })
		s.env = append(s.env, "AGENTAREA_LOG_FORMAT=json", "AGENTAREA_LOG_LEVEL=debug")
		s = on(s)
		s.start()
		var banner struct {
			URL, Docs     string
			Plugins       []struct{ Kind, Label, State string }
			AdminUsername string `json:"admin_username"`
			AdminPassword string `json:"admin_password"`
		}
		if err := json.Unmarshal([]byte(s.stdout.String()), &banner); err != nil || banner.Docs != s.url+"/docs" ||
			len(banner.Plugins) < 4 || banner.Plugins[0].State != "running" {
			t.Errorf("got banner %s (%v), want the URLs and running plugins", s.stdout, err)
		}
		c := s.signInAs(banner.AdminUsername, banner.AdminPassword)
		agent := c.newAgent("echo")
		c.chat(agent, "first", "Hello")
		c.get("/health/").want(t, 200)
		kill(t, c.plugin("llm", "echo").PID)
		if s.databaseURL != "" {
			dropConnections(t, s.databaseURL)
		}
		eventually(t, "a chat after the failures", func() bool {
			r, err := c.try("POST", "/v1/agents/"+agent+"/chat", object{"message": "Hello", "session_id": "first"})
			return err == nil && r.status == 200
		})
		s.terminate()
		s.exitCode(t)

		logLines(t, "stdout", s.stdout.String())
		var created, turns, probes int
		for _, l := range logLines(t, "stderr", s.stderr.String()) {
			switch {
			case l.Msg == "created the database schema" && l.Level == "INFO":
				created++
			case l.Msg == "request" && strings.HasSuffix(l.Path, "/chat"):
				turns++
			case l.Msg == "request" && strings.HasPrefix(l.Path, "/health") && l.Level == "DEBUG":
				probes++
			case l.Msg == "request" && strings.HasPrefix(l.Path, "/health"):
				t.Errorf("got the line of a probe with level %s, want DEBUG", l.Level)
			}
			if l.Duration != nil || l.Msg == "request" && l.DurationMS == nil {
				t.Errorf("got line %+v, want duration_ms", l)
			}
		}
		if created != 1 || turns < 2 || probes < 2 {
			t.Errorf("got %d lines of the schema, %d of turns, %d of probes, want 1, at least 2 and at least 2",
				created, turns, probes)
		}
	})
}

// dropConnections ends all connections to a PostgreSQL database.
func dropConnections(t *testing.T, url string) {
	t.Helper()
	db := sql.OpenDB(pgdriver.NewConnector(pgdriver.WithDSN(url), pgdriver.WithInsecure(true)))
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "+
		"WHERE datname = current_database() AND pid <> pg_backend_pid()"); err != nil {
		t.Fatal(err)
	}
}

// A start that fails logs its error in the format json, too.
func TestLogFormat_failedStart(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	for name, args := range map[string][]string{
		"address in use": {"--listen", taken.Addr().String()},
		"bad setting":    {"--listen", "nowhere"},
		"no such file":   {"--listen", "127.0.0.1:0", "--config", "none.hcl"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, "")
			p := run(t, s.dir, append(s.env, "AGENTAREA_LOG_FORMAT=json"), append([]string{"serve"}, args...)...)
			if code := p.exitCode(t); code != 1 {
				t.Errorf("got exit code %d, want 1", code)
			}
			lines := logLines(t, "stderr", p.stderr.String())
			if n := len(lines); n == 0 || lines[n-1].Level != "ERROR" || lines[n-1].Error == "" {
				t.Errorf("got stderr %s, want the error in its last line", p.stderr)
			}
		})
	}
}
