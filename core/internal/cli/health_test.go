package cli

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The command finds the server by its URL or by the address that it listens on.
func TestHealthCommand(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health" {
			_, _ = io.WriteString(w, `{"status":"healthy"}`)
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w,
			`{"error":{"message":"The server is not ready","details":{"field":"database","issue":"Is down"}}}`)
	}))
	defer server.Close()
	_, port, _ := strings.Cut(server.Listener.Addr().String(), ":")
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{0, "healthy\n", []string{"health", "--url", server.URL}},
		{0, "healthy\n", []string{"health", "--listen", "0.0.0.0:" + port}},
		{1, "database: Is down", []string{"health", "--ready", "--url", server.URL}},
		{1, "write host:port", []string{"health", "--listen", "8000"}},
		{1, "refused", []string{"health", "--url", "http://127.0.0.1:1"}},
	} {
		if code, stdout, stderr := command(t, c.args...); code != c.code || !strings.Contains(stdout+stderr, c.want) {
			t.Errorf("%q: exit code %d, output %q %q, want %d and %q", c.args, code, stdout, stderr, c.code, c.want)
		}
	}
}
