package config

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	key := strings.Repeat("a1", 32)
	for name, c := range map[string]struct {
		change func(*Settings)
		want   string
	}{
		"defaults":            {func(*Settings) {}, ""},
		"no port":             {func(s *Settings) { s.Listen = "localhost" }, `--listen "localhost": address localhost: missing port in address (write host:port, as in localhost:8000)`},
		"public url":          {func(s *Settings) { s.PublicURL = "agents.example.com" }, `--public-url "agents.example.com": not an absolute URL (write https://agents.example.com)`},
		"database":            {func(s *Settings) { s.DatabaseURL = "mysql://x:secret@y" }, `--database-url: must be sqlite:///path or postgres://user:password@host:5432/database (omit it to use agentarea.db in the data dir)`},
		"negative wait":       {func(s *Settings) { s.DatabaseWait = -time.Second }, `--database-wait -1s: must not be negative (write 60s, or 0 for no wait)`},
		"max file size of 0":  {func(s *Settings) { s.MaxFileSize = 0 }, `--max-file-size: must be at least 1 byte (write 2GiB, or omit it)`},
		"uploads of 0":        {func(s *Settings) { s.UploadsPerUser = 0 }, `--uploads-per-user 0: must be at least 1 (write 8, or omit it)`},
		"task timeout of 0":   {func(s *Settings) { s.TaskTimeout = 0 }, `--task-timeout 0s: must be 1s to 24h (write 1h, or omit it)`},
		"task timeout of 25h": {func(s *Settings) { s.TaskTimeout = 25 * time.Hour }, `--task-timeout 25h0m0s: must be 1s to 24h (write 1h, or omit it)`},
		"task slots of 0":     {func(s *Settings) { s.TaskSlots = 0 }, `--task-slots 0: must be at least 1 (write 8, or omit it)`},
		"negative minute":     {func(s *Settings) { s.RateLimitPerMinute = -1 }, `--rate-limit-per-minute -1: must not be negative (write 100, or 0 for no limit)`},
		"negative burst":      {func(s *Settings) { s.RateLimitBurst = -1 }, `--rate-limit-burst -1: must not be negative (write 20, or 0 for no limit)`},
		"login age of 0":      {func(s *Settings) { s.MaxLoginAge = 0 }, `--max-login-age 0s: must be at least 1m (write 90d, or omit it)`},
		"key in hex":          {func(s *Settings) { s.SecretKey = Secret(key) }, ""},
		"key in base64":       {func(s *Settings) { s.SecretKey = "aTdTb0c1bW5hbVhvbm5obW1HWk5oNmpVbm5ISG1uNkY=" }, ""},
		"new and old key":     {func(s *Settings) { s.SecretKey = Secret(key + "," + strings.Repeat("ab", 32)) }, ""},
		"old key is short":    {func(s *Settings) { s.SecretKey = Secret(key + ",hunter2") }, `AGENTAREA_SECRET_KEY: key 2 of 2: must be at least 32 bytes in hex or base64 (generate one with openssl rand -hex 32)`},
		"key is too short":    {func(s *Settings) { s.SecretKey = "hunter2" }, `AGENTAREA_SECRET_KEY: must be at least 32 bytes in hex or base64 (generate one with openssl rand -hex 32)`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := Settings{
				Listen: "localhost:8000", MaxFileSize: 1, UploadsPerUser: 1,
				TaskSlots: 1, TaskTimeout: time.Hour, MaxLoginAge: time.Hour,
			}
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

func TestSettings_secretsAreNotPrinted(t *testing.T) {
	t.Parallel()
	s := Settings{}
	s.FromEnvironment(func(string) string { return "hunter2" })
	if out := fmt.Sprintf("%v %+v %#v %s", s, s, s, s.SecretKey); strings.Contains(out, "hunter2") {
		t.Errorf("printed settings contain a secret: %s", out)
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Size{
		"0": 0, "123": 123, "500MB": 500_000_000, "2GiB": 2 << 30, "1.5 kB": 1500, "64 KiB": 64 << 10,
	} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%q = %d, %v; want %d", text, s, err, want)
		}
	}
	for _, text := range []string{"", "much", "-1", "9EiB", "1 mile"} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err == nil ||
			!strings.Contains(err.Error(), "write 500MB, 2GiB or a number of bytes") {
			t.Errorf("UnmarshalText(%q) = %d, %v, want an error with examples", text, s, err)
		}
	}
}
