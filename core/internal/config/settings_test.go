package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	key := strings.Repeat("a1", 32)
	for name, c := range map[string]struct {
		change func(*Settings)
		want   string
	}{
		"defaults":         {func(*Settings) {}, ""},
		"no port":          {func(s *Settings) { s.Listen = "localhost" }, `--listen "localhost": address localhost: missing port in address (write host:port, as in localhost:8000)`},
		"public url":       {func(s *Settings) { s.PublicURL = "agents.example.com" }, `--public-url "agents.example.com": not a URL (write https://agents.example.com)`},
		"database":         {func(s *Settings) { s.DatabaseURL = "mysql://x:secret@y" }, `--database-url: only sqlite:///path is known (leave it out for agentarea.db in the data dir)`},
		"key in hex":       {func(s *Settings) { s.SecretKey = Secret(key) }, ""},
		"key in base64":    {func(s *Settings) { s.SecretKey = "aTdTb0c1bW5hbVhvbm5obW1HWk5oNmpVbm5ISG1uNkY=" }, ""},
		"key is too short": {func(s *Settings) { s.SecretKey = "hunter2" }, `AGENTAREA_SECRET_KEY must be at least 32 bytes in hex or base64 (make one with: openssl rand -hex 32)`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := Settings{Listen: "localhost:8000"}
			c.change(&s)
			got := ""
			if err := s.Check(); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	t.Parallel()
	s := Settings{}
	s.FromEnvironment(func(string) string { return "hunter2" })
	if out := fmt.Sprintf("%v %+v %#v %s", s, s, s, s.SecretKey); strings.Contains(out, "hunter2") {
		t.Error(out)
	}
}
