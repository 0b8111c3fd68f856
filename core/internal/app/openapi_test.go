package app

import (
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core/internal/api"
	"github.com/agentarea/agentarea/core/internal/api/apitest"
	"github.com/agentarea/agentarea/core/internal/config"
)

var update = flag.Bool("update", false, "write the golden files")

// wholeAPI returns the API with every operation. Their dependencies are missing, so that only requests
// that reach no handler work.
func wholeAPI(t *testing.T, change ...func(*api.Options)) *apitest.Server {
	t.Helper()
	s := apitest.New(t, change...)
	(&App{settings: &config.Settings{}}).registerAPI(s.API, countedAuth{}, apiURLs{})
	return s
}

func TestOpenAPI(t *testing.T) {
	t.Parallel()
	s := wholeAPI(t)
	got := s.Do(t, "", "GET", "/openapi.json", "").Want(200).Body.Bytes()
	golden := filepath.Join("testdata", "openapi.json")
	if *update {
		if err := os.WriteFile(golden, append(got, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if strings.TrimSpace(string(got)) != strings.TrimSpace(string(want)) {
		t.Errorf("the OpenAPI document differs from %s. If that is intended, run go test ./core/internal/app -run "+
			"OpenAPI -update.", golden)
	}
}

// TestEveryOperationIsDescribed checks that a reader of /docs finds a description, schemas and examples for
// every operation.
func TestEveryOperationIsDescribed(t *testing.T) {
	t.Parallel()
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			Summary, Description, OperationID string
			Tags                              []string
			Security                          []any
			RequestBody                       *struct{ Content map[string]media }
			Responses                         map[string]struct{ Content map[string]media }
		}
		Components struct{ SecuritySchemes map[string]any }
	}
	s := wholeAPI(t)
	if err := json.Unmarshal(s.Do(t, "", "GET", "/openapi.json", "").Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") || doc.Components.SecuritySchemes["bearer"] == nil {
		t.Errorf("got OpenAPI %s with security schemes %v, want 3.1 with bearer", doc.OpenAPI, doc.Components.SecuritySchemes)
	}
	if strings.Contains(s.Do(t, "", "GET", "/openapi.json", "").Body.String(), "uniqueItems") {
		t.Error("the document has uniqueItems, at which Huma panics for items that are arrays or objects; check it in " +
			"the handler")
	}
	open := []string{"health", "health-ready", "login", "websocket"}
	for path, ops := range doc.Paths {
		for method, op := range ops {
			at := method + " " + path
			if op.Summary == "" || op.Description == "" || len(op.Tags) == 0 {
				t.Errorf("%s has no summary, description or tag", at)
			}
			if (len(op.Security) == 0) != slices.Contains(open, op.OperationID) {
				t.Errorf("%s: got security %v", at, op.Security)
			}
			if op.RequestBody != nil {
				for name, m := range op.RequestBody.Content {
					m.check(t, at+" "+name)
				}
			}
			for status, r := range op.Responses {
				for name, m := range r.Content {
					m.check(t, at+" "+status+" "+name)
				}
				if status >= "400" && !strings.Contains(string(r.Content["application/json"].Schema), "schemas/Error") {
					t.Errorf("%s: the body of status %s is not schemas/Error", at, status)
				}
			}
			if _, ok := op.Responses["422"]; ok || op.Responses["500"].Content == nil {
				t.Errorf("%s: got responses %v", at, op.Responses)
			}
		}
	}
	for _, path := range []string{
		"/health", "/v1/agents/", "/v1/agents/{agent_id}", "/v1/agents/{agent_id}/chat", "/v1/agents/{agent_id}/chat/history",
		"/v1/mcp-servers/", "/v1/mcp-servers/{server_id}",
		"/v1/mcp-servers/{server_id}/start", "/v1/mcp-servers/{server_id}/stop",
		"/v1/mcp-servers/{server_id}/restart", "/v1/mcp-servers/{server_id}/logs",
		"/v1/auth/login", "/v1/auth/refresh", "/v1/auth/logout", "/v1/auth/me",
	} {
		if doc.Paths[path] == nil {
			t.Errorf("%s is missing", path)
		}
	}
}

// TestEveryPOSTIsRepeatable checks that each operation that creates or acts accepts an Idempotency-Key.
func TestEveryPOSTIsRepeatable(t *testing.T) {
	t.Parallel()
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string
			Parameters  []struct{ Name, In string }
		}
	}
	if err := json.Unmarshal(wholeAPI(t).Do(t, "", "GET", "/openapi.json", "").Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	// The first four change or end the credential of the request. The others do nothing when they are repeated.
	exempt := []string{"login", "refresh", "logout", "end-sessions", "move-files", "reload-plugins"}
	for path, ops := range doc.Paths {
		op, ok := ops["post"]
		if !ok {
			continue
		}
		accepts := false
		for _, p := range op.Parameters {
			accepts = accepts || p.Name == "Idempotency-Key" && p.In == "header"
		}
		if accepts == slices.Contains(exempt, op.OperationID) {
			t.Errorf("POST %s accepts an Idempotency-Key: %v, want %v", path, accepts, !accepts)
		}
	}
}

type media struct{ Schema, Example json.RawMessage }

func (m media) check(t *testing.T, at string) {
	t.Helper()
	if len(m.Schema) == 0 || len(m.Example) == 0 {
		t.Errorf("%s has no schema or no example", at)
	}
}

func TestDocsPageLoadsNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	s := wholeAPI(t)
	page := s.Do(t, "", "GET", "/docs", "").Want(200)
	if s.Do(t, "", "GET", "/docs/", "").Want(200).Body.String() != page.Body.String() {
		t.Error("/docs/ differs from /docs")
	}
	policy := page.Header().Get("Content-Security-Policy")
	if !strings.Contains(policy, "script-src 'self';") || strings.Contains(policy, "http") {
		t.Errorf("got Content-Security-Policy %s", policy)
	}
	html := page.Body.String()
	if strings.Contains(html, "://") || strings.Contains(html, "<script>") || strings.Contains(html, "style=") {
		t.Error("the page loads from another site, or has an inline script or style")
	}
	for _, link := range strings.FieldsFunc(html, func(r rune) bool { return r == '"' }) {
		if !strings.HasPrefix(link, "/") || strings.HasPrefix(link, "/>") {
			continue
		}
		file := s.Do(t, "", "GET", link, "").Want(200)
		tag := file.Header().Get("ETag")
		s.Do(t, "", "GET", link, "", "If-None-Match: "+tag).Want(304)
		if gzipped := s.Do(t, "", "GET", link, "", "Accept-Encoding: gzip").Want(200); file.Body.Len() > 4096 &&
			gzipped.Body.Len() > file.Body.Len()/2 {
			t.Errorf("%s: compressed size %d of %d bytes", link, gzipped.Body.Len(), file.Body.Len())
		}
	}
}

func TestEveryOperationRequiresAToken(t *testing.T) {
	t.Parallel()
	s := wholeAPI(t)
	for path, item := range s.API.OpenAPI().Paths {
		if strings.HasPrefix(path, "/health") || path == "/v1/auth/login" || path == "/v1/auth/refresh" || path == "/v1/ws" {
			continue
		}
		for method, op := range map[string]any{
			"GET": item.Get, "POST": item.Post, "PUT": item.Put, "PATCH": item.Patch, "DELETE": item.Delete,
		} {
			for _, header := range []string{
				"X: ", "Authorization: Basic YTpi", "Authorization: Bearer a.b.c", "Authorization: Bearer ",
			} {
				a := s.Do(t, "", method, path, "", header)
				if a.Code == http.StatusMethodNotAllowed {
					continue
				}
				if a.Code != http.StatusUnauthorized || a.Header().Get("WWW-Authenticate") == "" {
					t.Errorf("%s %s with %q: got status %d for %v", method, path, header, a.Code, op)
				}
			}
		}
	}
}

func TestEveryReplyHasSecurityHeaders(t *testing.T) {
	t.Parallel()
	s := wholeAPI(t, func(o *api.Options) { o.PublicURL = "https://agents.example.com/" })
	for _, path := range []string{"/health", "/none", "/v1/agents/", "/docs", "/openapi.json"} {
		h := s.Do(t, "", "GET", path, "").Header()
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("X-Frame-Options") != "DENY" ||
			h.Get("Referrer-Policy") == "" ||
			h.Get("Content-Security-Policy") == "" || h.Get("Strict-Transport-Security") == "" {
			t.Errorf("%s: got headers %v", path, h)
		}
	}
	if h := wholeAPI(t).Do(t, "", "GET", "/health", "").Header(); h.Get("Strict-Transport-Security") != "" {
		t.Error("got Strict-Transport-Security without an https URL")
	}
}

func TestMethodNotAllowedListsTheAllowedOnes(t *testing.T) {
	t.Parallel()
	s := wholeAPI(t)
	for path, want := range map[string]string{
		"/v1/agents":         "GET, HEAD, POST",
		"/v1/agents/agent-1": "GET, HEAD, PUT, PATCH, DELETE",
		"/docs":              "GET, HEAD",
		"/v1/auth/login":     "POST",
	} {
		if got := s.Do(t, "", "OPTIONS", path, "").Want(405).Header().Get("Allow"); got != want {
			t.Errorf("%s: got Allow %q, want %q", path, got, want)
		}
	}
}
