package e2e_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A broken plugins.hcl keeps the server from starting, and says where it is
// broken and what to write instead.
func TestBrokenPlugins(t *testing.T) {
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
		{"twice", agent + agent, []string{"plugins.hcl:4,", "Duplicate", "another label"}},
		{
			"the plugin's own setting, misspelt",
			agent + "plugin \"llm\" \"openai\" {\n  command = \"llm-openai\"\n  config {\n    base_ulr = \"http://localhost:1/v1\"\n  }\n}\n",
			[]string{"plugins.hcl:7,5", "base_ulr", "base_url"},
		},
		{
			"the plugin's own setting, of a wrong type",
			agent + "plugin \"llm\" \"openai\" {\n  command = \"llm-openai\"\n  config {\n    base_url = 5\n  }\n}\n",
			[]string{"plugins.hcl:7,", "base_url", "string"},
		},
		{
			"a value that the plugin refuses",
			agent + "plugin \"llm\" \"openai\" {\n  command = \"llm-openai\"\n  config {\n    base_url = \"localhost:11434\"\n  }\n}\n",
			[]string{"plugins.hcl:7,", "http://localhost:11434/v1"},
		},
		{
			"no key for OpenAI's own server",
			agent + "plugin \"llm\" \"openai\" {\n  command = \"llm-openai\"\n  config {\n  }\n}\n",
			[]string{"plugins.hcl:6,", "api_key", "OPENAI_API_KEY"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, tt.text)
			s.wantNoStart(tt.want...)
		})
	}
}

// wantNoStart starts a server that must end with code 1 and these words.
func (s *server) wantNoStart(words ...string) {
	s.t.Helper()
	p := run(s.t, s.dir, s.env, append([]string{"serve"}, s.args...)...)
	if code := p.exitCode(s.t); code != 1 {
		s.t.Errorf("exit code %d, want 1", code)
	}
	for _, word := range words {
		if !strings.Contains(p.stderr.String(), word) {
			s.t.Errorf("no %q in\n%s", word, p.stderr)
		}
	}
	if strings.Contains(p.stdout.String(), "is ready") {
		s.t.Errorf("the banner says that the server is ready:\n%s", p.stdout)
	}
}

func TestBadSettings(t *testing.T) {
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
		{"missing plugins.hcl that was named", []string{"--config", "nowhere.hcl"}, nil, []string{"--config", "nowhere.hcl", "built-in default"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, "")
			s.args = append(s.args, tt.args...) // of a flag that comes twice the last counts
			s.env = append(s.env, tt.env...)
			s.wantNoStart(tt.want...)
		})
	}
}

// Two servers would ruin one another's data.
func TestSecondServer(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	second := newServer(t, "")
	second.dir = s.dir
	second.wantNoStart("another server uses the data dir", "--data-dir")
	s.awaitReady()
}
