package e2e_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// With an invalid plugins.hcl the server does not start, and the error has the line and what to write.
func TestInvalidPluginsFile(t *testing.T) {
	t.Parallel()
	const agent = "plugin \"agent\" \"chat\" {\n  command = \"agent-chat\"\n}\n"
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"syntax", "plugin \"llm\" \"echo\" {\n  command = \n}\n", []string{"plugins.hcl:2,13"}},
		{"unknown kind", "plugin \"lmm\" \"echo\" {\n  command = \"llm-echo\"\n}\n", []string{"plugins.hcl:1,8", "lmm", "did you mean llm?"}},
		{"unknown attribute", "plugin \"llm\" \"echo\" {\n  comand = \"llm-echo\"\n}\n", []string{"plugins.hcl:2,3", "comand", "command"}},
		{"wrong type", "plugin \"llm\" \"echo\" {\n  command = \"llm-echo\"\n  enabled = 5\n}\n", []string{"plugins.hcl:3,", "enabled", "true or false"}},
		{"no such program", agent + "plugin \"llm\" \"x\" {\n  command = \"llm-x\"\n}\n", []string{"plugins.hcl:5,", "llm-x", "plugin_dirs"}},
		{"duplicate", agent + agent, []string{"plugins.hcl:4,", "Duplicate", "another label"}},
		{
			"misspelt setting of the plugin",
			agent +
				"plugin \"llm\" \"openai\" {\n  command = \"llm-openai\"\n  config {\n    base_ulr = \"http://localhost:1/v1\"\n  }\n}\n",
			[]string{"plugins.hcl:7,5", "base_ulr", "base_url"},
		},
		{
			"setting of the plugin with a wrong type",
			agent + "plugin \"llm\" \"openai\" {\n  command = \"llm-openai\"\n  config {\n    base_url = 5\n  }\n}\n",
			[]string{"plugins.hcl:7,", "base_url", "string"},
		},
		{
			"value that the plugin rejects",
			agent +
				"plugin \"llm\" \"openai\" {\n  command = \"llm-openai\"\n  config {\n    base_url = \"localhost:11434\"\n  }\n}\n",
			[]string{"plugins.hcl:7,", "http://localhost:11434/v1"},
		},
		{
			"no key for OpenAI",
			agent + "plugin \"llm\" \"openai\" {\n  command = \"llm-openai\"\n  config {\n  }\n}\n",
			[]string{"plugins.hcl:6,", "api_key", "OPENAI_API_KEY"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, tt.text)
			s.wantStartError(tt.want...)
		})
	}
}

// wantStartError starts a server that must exit with code 1 and these words in its error output.
func (s *server) wantStartError(words ...string) {
	s.t.Helper()
	p := run(s.t, s.dir, s.env, append([]string{"serve"}, s.args...)...)
	if code := p.exitCode(s.t); code != 1 {
		s.t.Errorf("got exit code %d, want 1", code)
	}
	for _, word := range words {
		if !strings.Contains(p.stderr.String(), word) {
			s.t.Errorf("the error output does not contain %q:\n%s", word, p.stderr)
		}
	}
	if strings.Contains(p.stdout.String(), "is ready") {
		s.t.Errorf("the banner says that the server is up:\n%s", p.stdout)
	}
}

func TestInvalidSettings(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		args []string
		env  []string
		want []string
	}{
		{"unknown flag", []string{"--lisen", "localhost:0"}, nil, []string{"--lisen", "--listen"}},
		{"no port", []string{"--listen", "localhost"}, nil, []string{"--listen", "localhost:8000"}},
		{"port in use", []string{"--listen", taken.Addr().String()}, nil, []string{taken.Addr().String(), "another address"}},
		{"log level", []string{"--log-level", "loud"}, nil, []string{"--log-level", "debug"}},
		{"database", []string{"--database-url", "mysql://x"}, nil, []string{"--database-url", "sqlite://"}},
		{"public URL", []string{"--public-url", "agents.example.com"}, nil, []string{"--public-url", "https://agents.example.com"}},
		{"data dir is a file", []string{"--data-dir", file}, nil, []string{file}},
		{"short key", nil, []string{"AGENTAREA_SECRET_KEY=abcd"}, []string{"AGENTAREA_SECRET_KEY", "openssl rand -hex 32"}},
		{"short password", nil, []string{"AGENTAREA_ADMIN_PASSWORD=1234"}, []string{"AGENTAREA_ADMIN_PASSWORD", "8 to 256 characters"}},
		{"no plugins.hcl at --config", []string{"--config", "nowhere.hcl"}, nil, []string{"--config", "nowhere.hcl", "built-in default"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, "")
			s.args = append(s.args, tt.args...) // the last value of a flag wins
			s.env = append(s.env, tt.env...)
			s.wantStartError(tt.want...)
		})
	}
}

// A second server with the same data dir does not start.
func TestSecondServer(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	second := newServer(t, "")
	second.dir = s.dir
	second.wantStartError("another server uses the data dir",
		fmt.Sprint("process ", s.cmd.Process.Pid, " on "), "--data-dir")
	s.waitReady()
}

// A second server does not start on a database file that a server uses, whatever the path, or on a copy of it.
// Commands that may run beside a server still work.
func TestSecondServerOnADatabase(t *testing.T) {
	t.Parallel()
	first := start(t, "")
	data := filepath.Join(first.dir, "data")
	database := filepath.Join(data, "agentarea.db")
	other := fmt.Sprint("process ", first.cmd.Process.Pid, " on ")
	links := t.TempDir()
	copied := filepath.Join(links, "copy")
	for _, err := range []error{
		os.Symlink(database, filepath.Join(links, "linked.db")), os.Symlink(data, filepath.Join(links, "dir")),
		exec.CommandContext(t.Context(), "cp", "-a", data, copied).Run(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, args := range map[string][]string{
		"same path":   {"--database-url", "sqlite://" + database},
		"file link":   {"--database-url", "sqlite://" + filepath.Join(links, "linked.db")},
		"folder link": {"--database-url", "sqlite://" + filepath.Join(links, "dir", "agentarea.db")},
	} {
		t.Run(name, func(t *testing.T) {
			second := newServer(t, "")
			second.args = append(second.args, args...)
			second.wantStartError("another server uses the database "+database, other, "--database-url")
		})
	}
	second := newServer(t, "")
	second.args = append(second.args, "--data-dir", copied)
	second.wantStartError("the database "+filepath.Join(copied, "agentarea.db")+" is a copy", other, "agentarea backup")

	first.must("db", "status")
	archive := filepath.Join(links, "backup.tar")
	first.must("backup", archive, "--include-key")
	restored := newServer(t, "")
	restored.must("restore", archive)
	restored.start() // a restored database is no copy

	first.waitReady()
	first.terminate()
	if code := first.exitCode(t); code != 0 {
		t.Errorf("the first server ends with exit code %d, want 0", code)
	}
	second.start()
}
