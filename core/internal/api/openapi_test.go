package api

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

func TestOpenAPI(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	got := b.do(t, "", "GET", "/openapi.json", "").want(200).Body.Bytes()
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
		t.Errorf("the document is not %s: if that is meant, run go test ./core/internal/api -run OpenAPI -update", golden)
	}
}

// TestEveryOperationIsDescribed looks for what a reader of /docs would miss.
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
	b := newBench(t)
	if err := json.Unmarshal(b.do(t, "", "GET", "/openapi.json", "").Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") || doc.Components.SecuritySchemes["bearer"] == nil {
		t.Error("it is not 3.1 with a bearer scheme")
	}
	if strings.Contains(b.do(t, "", "GET", "/openapi.json", "").Body.String(), "uniqueItems") {
		t.Error("uniqueItems: Huma panics at items that are arrays or objects; check it in the handler")
	}
	open := []string{"health", "health-ready", "login", "websocket"}
	for path, ops := range doc.Paths {
		for method, op := range ops {
			at := method + " " + path
			if op.Summary == "" || op.Description == "" || len(op.Tags) == 0 {
				t.Errorf("%s is not described", at)
			}
			if (len(op.Security) == 0) != slices.Contains(open, op.OperationID) {
				t.Errorf("%s: security is %v", at, op.Security)
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
					t.Errorf("%s: %s is not our error", at, status)
				}
			}
			if _, ok := op.Responses["422"]; ok || op.Responses["500"].Content == nil {
				t.Errorf("%s: the errors are %v", at, op.Responses)
			}
		}
	}
	for _, path := range []string{
		"/health", "/v1/agents/", "/v1/agents/{agent_id}", "/v1/agents/{agent_id}/chat", "/v1/agents/{agent_id}/chat/history",
		"/v1/mcp-servers/", "/v1/mcp-servers/{server_id}", "/v1/mcp-servers/{server_id}/start", "/v1/mcp-servers/{server_id}/stop",
		"/v1/mcp-servers/{server_id}/restart", "/v1/mcp-servers/{server_id}/logs", "/v1/auth/login", "/v1/auth/refresh", "/v1/auth/logout", "/v1/auth/me",
	} {
		if doc.Paths[path] == nil {
			t.Errorf("%s is missing, by the contract's form", path)
		}
	}
}

type media struct{ Schema, Example json.RawMessage }

func (m media) check(t *testing.T, at string) {
	t.Helper()
	if len(m.Schema) == 0 || len(m.Example) == 0 {
		t.Errorf("%s lacks a schema or an example", at)
	}
}

func TestDocsPageLoadsNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	page := b.do(t, "", "GET", "/docs", "").want(200)
	if b.do(t, "", "GET", "/docs/", "").want(200).Body.String() != page.Body.String() {
		t.Error("/docs/ is another page")
	}
	policy := page.Header().Get("Content-Security-Policy")
	if !strings.Contains(policy, "script-src 'self';") || strings.Contains(policy, "http") {
		t.Errorf("the policy is %s", policy)
	}
	html := page.Body.String()
	if strings.Contains(html, "://") || strings.Contains(html, "<script>") || strings.Contains(html, "style=") {
		t.Error("the page loads from elsewhere, or has a script or style in it")
	}
	for _, link := range strings.FieldsFunc(html, func(r rune) bool { return r == '"' }) {
		if !strings.HasPrefix(link, "/") || strings.HasPrefix(link, "/>") {
			continue
		}
		file := b.do(t, "", "GET", link, "").want(200)
		tag := file.Header().Get("ETag")
		b.do(t, "", "GET", link, "", "If-None-Match: "+tag).want(304)
		if zipped := b.do(t, "", "GET", link, "", "Accept-Encoding: gzip").want(200); file.Body.Len() > 4096 && zipped.Body.Len() > file.Body.Len()/2 {
			t.Errorf("%s is sent as %d of %d bytes", link, zipped.Body.Len(), file.Body.Len())
		}
	}
}
