package remote

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/sdk"
)

func settings(allow ...string) Settings {
	return Settings{Allow: allow, ConnectTimeout: 5 * time.Second, AnswerTimeout: 5 * time.Second}
}

func web(t *testing.T, s Settings) *Web {
	t.Helper()
	w, err := NewWeb(s)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// issues returns the ConfigErrors of err in the form "path: summary".
func issues(err error) (found []string) {
	var e *sdk.ConfigError
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range joined.Unwrap() {
			found = append(found, issues(err)...)
		}
	} else if errors.As(err, &e) {
		found = append(found, strings.Join(e.Path, ".")+": "+e.Summary)
	} else if err != nil {
		found = append(found, "no ConfigError: "+err.Error())
	}
	return found
}

func TestCheckConfig(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 10_000)
	tests := []struct {
		config string
		issues []string
	}{
		{`{"url":"https://example.com/mcp"}`, nil},
		{`{"url":"http://example.com:8080/mcp?key=1","headers":{"Authorization":"Bearer secret","x-a":"b c"}}`, nil},
		{`{"url":"https://[2606:4700::1111]/"}`, nil},
		{`{"url":"http://10.1.2.3/"}`, nil},
		{`{}`, []string{"url: is required"}},
		{`{"url":""}`, []string{"url: must start with"}},
		{`[]`, []string{": must be a block"}},
		{`{"url":7}`, []string{"url: must be a string"}},
		{`{"url":"https://example.com","command":"x"}`, []string{"command: is not a known attribute"}},
		{`{"url":"https://example.com","headers":{"X":1}}`, []string{"headers: must be a map of strings"}},
		{`{"url":"example.com"}`, []string{"url: must start with"}},
		{`{"url":"ftp://example.com"}`, []string{"url: must start with"}},
		{`{"url":"file:///etc/passwd"}`, []string{"url: must start with"}},
		{`{"url":"https:example.com"}`, []string{"url: is not a URL"}},
		{`{"url":"https://"}`, []string{"url: has no host"}},
		{`{"url":"https://:80/"}`, []string{"url: has no host"}},
		{`{"url":"https://u:secret@example.com"}`, []string{"url: must not contain a user name"}},
		{`{"url":"https://secret@example.com"}`, []string{"url: must not contain a user name"}},
		{`{"url":"https://example.com/#"}`, []string{"url: must not contain a fragment"}},
		{`{"url":"https://example.com:0/"}`, []string{"url: has no valid port"}},
		{`{"url":"https://example.com:/"}`, []string{"url: has no valid port"}},
		{`{"url":"https://example.com:99999/"}`, []string{"url: has no valid port"}},
		{`{"url":"https://example.com/\r\nX: secret"}`, []string{"url: is not a URL"}},
		{`{"url":"https://example.com/` + long + `"}`, []string{"url: is longer"}},
		{`{"url":"http://127.0.0.1/"}`, []string{"url: 127.0.0.1 resolves to a loopback address"}},
		{`{"url":"http://localhost/"}`, []string{"url: localhost resolves to a loopback address"}},
		{`{"url":"http://[::ffff:169.254.169.254]/"}`, []string{"url: ::ffff:169.254.169.254 resolves to a link-local address"}},
		{`{"url":"http://192.168.0.1/"}`, []string{"url: 192.168.0.1 resolves to a private address"}},
		{`{"url":"x","headers":{"Host":"secret"},"more":1}`, []string{"more: is not a known attribute"}},
		{`{"url":"x","headers":{"Host":"secret"}}`, []string{"url: must start with", "headers.Host: is set by the transport"}},
	}
	for _, name := range []string{
		"host", "Connection", "keep-alive", "TE", "Trailer",
		"Transfer-Encoding", "UPGRADE", "Proxy-Authorization", "Content-Type",
		"content-length", "Mcp-Session-Id", "MCP-Protocol-Version", "Mcp-Anything", "Accept", "Last-Event-ID", "Expect",
	} {
		tests = append(tests, struct {
			config string
			issues []string
		}{
			`{"url":"https://example.com","headers":{"` + name + `":"secret"}}`,
			[]string{"headers." + name + ": is set by the transport"},
		})
	}
	for name, value := range map[string]string{
		"": "secret", "a b": "secret", "a:b": "secret", "é": "secret", "X\\n": "secret",
		"X-1": "", "X-2": "secret\\r\\nY: 1", "X-3": " secret", "X-4": "secret\\u0000", "X-5": long,
	} {
		tests = append(tests, struct {
			config string
			issues []string
		}{
			`{"url":"https://example.com","headers":{"` + name + `":"` + value + `"}}`,
			[]string{"headers." + strings.ReplaceAll(name, "\\n", "\n") + ": "},
		})
	}
	tests = append(tests, struct {
		config string
		issues []string
	}{`{"url":"https://example.com","headers":{"x-a":"1","X-A":"2"}}`, []string{"headers.x-a: is a duplicate"}})
	w := web(t, settings("10.0.0.0/8"))
	for _, tt := range tests {
		err := w.CheckConfig(t.Context(), json.RawMessage(tt.config))
		found := issues(err)
		if !slices.EqualFunc(found, tt.issues, strings.HasPrefix) || err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%.200s: %q; want %q", tt.config, found, tt.issues)
		}
	}
}

func TestNewWeb_invalidSettings(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	with := func(change func(*Settings)) Settings {
		s := settings()
		change(&s)
		return s
	}
	tests := []struct {
		settings Settings
		issue    string
	}{
		{settings("localhost", "10.0.0.0/8"), ""},
		{settings("localhost", "10.0.0.0/99"), "allow.1: is not a host"},
		{settings("169.254.169.254"), "allow.0: link-local"},
		{with(func(s *Settings) { s.CAFile = empty + "x" }), "ca_file: is not usable"},
		{with(func(s *Settings) { s.CAFile = empty }), "ca_file: is not usable"},
		{with(func(s *Settings) { s.ConnectTimeout = 0 }), "connect_timeout: must be greater than 0"},
		{with(func(s *Settings) { s.AnswerTimeout = -1 }), "answer_timeout: must be greater than 0"},
	}
	for _, tt := range tests {
		_, err := NewWeb(tt.settings)
		if found := strings.Join(issues(err), "; "); !strings.HasPrefix(found, tt.issue) || tt.issue == "" && err != nil {
			t.Errorf("%+v: %s; want %s", tt.settings, found, tt.issue)
		}
	}
}
