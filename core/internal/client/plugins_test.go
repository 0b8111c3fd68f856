package client

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

func TestReloadPlugins(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name          string
		dryRun, force bool
		query         string
		status        int
		body          string
		want          string // the error, or "" for none
	}{
		{"plain", false, false, "", 200, `{"generation":2,"stopped":["llm/a"]}`, ""},
		{"dry run", true, false, "dry_run=true", 200, `{"generation":2,"stopped":["llm/a"]}`, ""},
		{"forced dry run", true, true, "dry_run=true&force=true", 200, `{"generation":2,"stopped":["llm/a"]}`, ""},
		{"needed plugin", false, false, "", 409, failure("CONFLICT", "Plugin llm/a is in use"), "Plugin llm/a is in use"},
		{"not JSON", false, true, "force=true", 200, `<html>`, "the server sent an invalid reply: invalid character '<' looking for beginning of value"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if r.URL.Path != "/v1/plugins/reload" || r.URL.RawQuery != tt.query || len(body) != 0 ||
					r.Header.Get("Authorization") != "Bearer t1" {
					t.Errorf("got %s with Authorization %q and body %q, want the query %q and no body",
						r.URL, r.Header.Get("Authorization"), body, tt.query)
				}
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			}))
			defer server.Close()
			r, err := New(Options{URL: server.URL, Token: "t1"}).ReloadPlugins(t.Context(), tt.dryRun, tt.force)
			if tt.want != "" {
				if err == nil || err.Error() != tt.want {
					t.Fatalf("ReloadPlugins() = %v, want %q", err, tt.want)
				}
				var e *Error
				if tt.status != 200 && (!errors.As(err, &e) || e.Status != tt.status) {
					t.Errorf("ReloadPlugins() = %v, want status %d", err, tt.status)
				}
				return
			}
			if err != nil || r.Generation != 2 || !slices.Equal(r.Stopped, []string{"llm/a"}) {
				t.Errorf("ReloadPlugins() = %+v, %v, want generation 2 and the stopped plugin", r, err)
			}
		})
	}
}
