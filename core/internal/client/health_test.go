package client

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ready  bool
		status int
		body   string
		want   string
	}{
		"alive":      {false, 200, `{"status":"healthy"}`, ""},
		"ready":      {true, 200, `{"status":"ready"}`, ""},
		"one part":   {true, 503, `{"error":{"message":"The server is not ready","details":{"field":"database","issue":"Is down"}}}`, "The server is not ready\n  database: Is down"},
		"two parts":  {true, 503, `{"error":{"message":"The server is not ready","details":{"field":"a","issue":"b","errors":[{"field":"a","issue":"b"},{"field":"c","issue":"d"}]}}}`, "The server is not ready\n  a: b\n  c: d"},
		"other":      {false, 200, `<html>`, "check that this is the address of AgentArea"},
		"other JSON": {false, 404, `{}`, "responds with 404 Not Found: check that this is the address of AgentArea"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if ready := strings.HasSuffix(r.URL.Path, "/ready"); ready != c.ready {
					t.Errorf("got a request for %s, want the path for ready = %t", r.URL.Path, c.ready)
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			defer server.Close()
			err := New(Options{URL: server.URL}).Health(t.Context(), c.ready)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("Health: error %v, want %q", err, c.want)
			}
		})
	}
}
