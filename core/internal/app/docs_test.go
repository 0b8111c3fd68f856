package app

import (
	"encoding/json"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core/internal/api"
	"github.com/agentarea/agentarea/core/internal/api/apitest"
)

// links finds the links of a page.
var links = regexp.MustCompile(`(?:href|src)="([^"]*)"`)

func TestDocsPageLoadsNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	s := wholeAPI(t)
	page := s.Do(t, "", "GET", "/docs", "").Want(200)
	policy := page.Header().Get("Content-Security-Policy")
	if !strings.Contains(policy, "script-src 'self';") || strings.Contains(policy, "http") {
		t.Errorf("got Content-Security-Policy %s", policy)
	}
	html := page.Body.String()
	if strings.Contains(html, "//") || strings.Contains(html, "<script>") || strings.Contains(html, "style=") {
		t.Error("the page loads from another site, or has an inline script or style")
	}
	for _, link := range links.FindAllStringSubmatch(html, -1) {
		path := "/" + link[1]
		file := s.Do(t, "", "GET", path, "").Want(200)
		tag := file.Header().Get("ETag")
		s.Do(t, "", "GET", path, "", "If-None-Match: "+tag).Want(304)
		if gzipped := s.Do(t, "", "GET", path, "", "Accept-Encoding: gzip").Want(200); file.Body.Len() > 4096 &&
			gzipped.Body.Len() > file.Body.Len()/2 {
			t.Errorf("%s: compressed size %d of %d bytes", path, gzipped.Body.Len(), file.Body.Len())
		}
	}
}

// A browser finds everything that /docs needs, and the API itself, under each public URL, behind proxies that keep
// the path of the public URL and those that remove it.
func TestDocsUnderPublicURL(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		publicURL string
		// shown is the path at which the browser sees the server, and removed what the proxy removes of it.
		shown, removed string
	}{
		"no public URL":               {"", "", ""},
		"a host":                      {"https://agents.example.com/", "", ""},
		"a path that a proxy keeps":   {"https://example.com/tools/agents", "/tools/agents", ""},
		"a path that a proxy removes": {"https://example.com/tools/agents/", "/tools/agents", "/tools/agents"},
		"direct, beside a proxy":      {"https://example.com/tools/agents", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := wholeAPI(t, func(o *api.Options) { o.PublicURL = tt.publicURL })
			get := func(path string) *apitest.Answer {
				return s.Do(t, "", "GET", strings.TrimPrefix(path, tt.removed), "").Want(200)
			}
			for _, page := range []string{tt.shown + "/docs", tt.shown + "/docs/"} {
				found := links.FindAllStringSubmatch(get(page).Body.String(), -1)
				if len(found) != 4 {
					t.Errorf("%s has %d links, want the icon, the style and two scripts", page, len(found))
				}
				for _, link := range found {
					get(resolve(t, page, link[1]))
				}
			}
			script := tt.shown + "/docs/init.js"
			if !strings.Contains(get(script).Body.String(), `new URL("../openapi.json", document.currentScript.src)`) {
				t.Error("init.js does not load the document that is beside /docs")
			}
			document := resolve(t, script, "../openapi.json")
			servers := decode[struct{ Servers []struct{ URL string } }](t, get(document)).Servers
			if len(servers) != 1 || !strings.HasPrefix(servers[0].URL, "/") {
				t.Fatalf("got servers %v, want a relative one", servers)
			}
			if tt.removed == "" {
				get(strings.TrimSuffix(resolve(t, document, servers[0].URL), "/") + "/health")
			}
		})
	}
}

// resolve returns the path of a link on a page.
func resolve(t *testing.T, page, link string) string {
	t.Helper()
	base, err := url.Parse("https://example.com" + page)
	if err != nil {
		t.Fatal(err)
	}
	to, err := base.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	if to.Host != base.Host {
		t.Errorf("the link %s of %s leads to another host", link, page)
	}
	return to.Path
}

func decode[T any](t *testing.T, a *apitest.Answer) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(a.Body.Bytes(), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// Swagger UI shows the tags in the order of the document.
func TestTagsAreInOrderOfUse(t *testing.T) {
	t.Parallel()
	doc := decode[struct {
		Tags  []struct{ Name, Description string }
		Paths map[string]map[string]struct{ Tags []string }
	}](t, wholeAPI(t).Do(t, "", "GET", "/openapi.json", ""))
	var names []string
	for _, tag := range doc.Tags {
		names = append(names, tag.Name)
		if tag.Description == "" {
			t.Errorf("the tag %s has no description", tag.Name)
		}
	}
	first := []string{"Authentication", "Agents", "Chat"}
	if !slices.Equal(names[:len(first)], first) {
		t.Errorf("got tags %v, want %v first", names, first)
	}
	used := map[string]bool{}
	for path, operations := range doc.Paths {
		for method, op := range operations {
			if len(op.Tags) != 1 || !slices.Contains(names, op.Tags[0]) {
				t.Errorf("%s %s has the tags %v, want one of %v", method, path, op.Tags, names)
				continue
			}
			used[op.Tags[0]] = true
		}
	}
	if got := slices.Sorted(maps.Keys(used)); len(got) != len(names) {
		t.Errorf("the operations use the tags %v of %v", got, names)
	}
}

// schemaKeywords are the keywords of JSON Schema and OpenAPI 3.1 in the document.
var schemaKeywords = []string{
	"$ref", "additionalProperties", "contentEncoding", "contentMediaType", "default", "description", "discriminator",
	"enum", "examples", "format", "items", "maxItems", "maxLength", "maximum", "minItems", "minLength", "minimum",
	"oneOf", "pattern", "properties", "readOnly", "required", "type",
}

// Generators reject unknown keywords, and take a field with a default value as one that is always present, so that
// requests could not omit it.
func TestSchemasSuitGenerators(t *testing.T) {
	t.Parallel()
	doc := decode[map[string]any](t, wholeAPI(t).Do(t, "", "GET", "/openapi.json", ""))
	schemas := 0
	walkSchemas(doc, "", func(at string, s map[string]any) {
		schemas++
		for keyword := range s {
			if !slices.Contains(schemaKeywords, keyword) && !strings.HasPrefix(keyword, "x-") {
				t.Errorf("%s has the keyword %s, which is not standard: let it begin with x-", at, keyword)
			}
		}
		properties, _ := s["properties"].(map[string]any)
		for name, p := range properties {
			if _, hasDefault := p.(map[string]any)["default"]; hasDefault {
				t.Errorf("%s/%s has the keyword default: state the default value in the description", at, name)
			}
		}
	})
	if schemas < 200 {
		t.Errorf("the document has %d schemas, want all of its more than 200", schemas)
	}
	wantOptional(t, doc)
	for path, item := range doc["paths"].(map[string]any) {
		if strings.HasSuffix(path, "/") {
			t.Errorf("%s ends with a slash, which linters reject", path)
		}
		for _, op := range item.(map[string]any) {
			parameters, _ := op.(map[string]any)["parameters"].([]any)
			for _, p := range parameters {
				p, _ := p.(map[string]any)
				schema, _ := p["schema"].(map[string]any)
				if _, hasDefault := schema["default"]; hasDefault && p["required"] == true {
					t.Errorf("%s requires the parameter %s, which has a default value", path, p["name"])
				}
			}
		}
	}
}

// wantOptional checks that requests can omit fields which have a default value.
func wantOptional(t *testing.T, doc map[string]any) {
	t.Helper()
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	var parsed struct {
		Components struct {
			Schemas map[string]struct {
				Required   []string
				Properties map[string]struct{ Description string }
			}
		}
	}
	if err := json.Unmarshal(text, &parsed); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"AgentRequest.status": "active", "AgentReplacement.status": "active", "ChatRequest.stream": "false",
		"McpServerRequest.auto_start": "true", "PasswordReset.end_api_keys": "false", "TaskRequest.max_attempts": "3",
		"TaskRequest.priority": "medium", "UserRequest.role": "member",
	} {
		schema, field, _ := strings.Cut(path, ".")
		s := parsed.Components.Schemas[schema]
		if p, ok := s.Properties[field]; !ok || !strings.HasSuffix(p.Description, "The default is "+want) {
			t.Errorf("got the description %q of %s, want one that ends with the default %s", p.Description, path, want)
		}
		if slices.Contains(s.Required, field) {
			t.Errorf("%s is required, although it has a default value", path)
		}
	}
}

// walkSchemas calls visit for each schema below a value of the document.
func walkSchemas(v any, at string, visit func(at string, schema map[string]any)) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			walkSchemas(e, at, visit)
		}
	case map[string]any:
		for name, child := range v {
			path := at + "/" + name
			switch name {
			case "example", "examples", "default", "value":
				continue
			case "schema", "items":
				visitSchema(child, path, visit)
			case "schemas", "properties":
				for name, s := range child.(map[string]any) {
					visitSchema(s, path+"/"+name, visit)
				}
			case "oneOf":
				for _, s := range child.([]any) {
					visitSchema(s, path, visit)
				}
			}
			walkSchemas(child, path, visit)
		}
	}
}

func visitSchema(v any, at string, visit func(string, map[string]any)) {
	if s, ok := v.(map[string]any); ok {
		visit(at, s)
	}
}

// Each type of event and message has a schema with an example, and the schema is used by an operation.
func TestEventsAndMessagesHaveSchemas(t *testing.T) {
	t.Parallel()
	body := wholeAPI(t).Do(t, "", "GET", "/openapi.json", "")
	doc := decode[struct {
		Components struct {
			Schemas map[string]struct {
				OneOf []struct {
					Ref string `json:"$ref"`
				}
				Discriminator struct{ Mapping map[string]string }
				Properties    map[string]struct{ Enum []string }
			}
		}
		Paths map[string]map[string]struct {
			Responses map[string]struct {
				Content map[string]struct {
					Schema struct {
						Ref string `json:"$ref"`
					}
					Examples map[string]struct{ Value struct{ Type string } }
				}
			}
		}
	}](t, body)
	for name, tt := range map[string]struct {
		path, method, status, media string
		types                       string
	}{
		"RunEvent":         {"/v1/agents/{agent_id}/chat", "post", "200", "text/event-stream", "end error restart start token tool_call tool_result usage"},
		"MoveEvent":        {"/v1/files/move", "post", "200", "text/event-stream", "end error failed progress"},
		"McpLogEvent":      {"/v1/mcp-servers/{server_id}/logs", "get", "200", "text/event-stream", "error log"},
		"WebSocketMessage": {"/v1/ws", "get", "101", "application/json", "agent.message auth auth.ok error ping pong subscribe subscribed system.notification task.status unsubscribe unsubscribed"},
	} {
		content := doc.Paths[tt.path][tt.method].Responses[tt.status].Content[tt.media]
		if content.Schema.Ref != "#/components/schemas/"+name {
			t.Errorf("%s: got schema %q, want %s", tt.path, content.Schema.Ref, name)
		}
		union := doc.Components.Schemas[name]
		if got := strings.Join(slices.Sorted(maps.Keys(union.Discriminator.Mapping)), " "); got != tt.types {
			t.Errorf("%s: got types %s, want %s", name, got, tt.types)
		}
		for kind, ref := range union.Discriminator.Mapping {
			variant := doc.Components.Schemas[strings.TrimPrefix(ref, "#/components/schemas/")]
			if enum := variant.Properties["type"].Enum; !slices.Equal(enum, []string{kind}) {
				t.Errorf("%s: the type of %s is %v, want %s", name, ref, enum, kind)
			}
			if content.Examples[kind].Value.Type != kind {
				t.Errorf("%s has no example of %s", name, kind)
			}
		}
	}
	for path, operations := range doc.Paths {
		for method, op := range operations {
			for _, r := range op.Responses {
				if c, ok := r.Content["text/event-stream"]; ok && c.Schema.Ref == "" {
					t.Errorf("%s %s: the events of the stream have no schema", method, path)
				}
			}
		}
	}
}
