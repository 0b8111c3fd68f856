package e2e_test

import (
	"bytes"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// documentSchemas are the schemas of events and messages in the OpenAPI document, by name.
var documentSchemas = sync.OnceValues(func() (map[string]*jsonschema.Schema, error) {
	text, err := os.ReadFile("../../core/internal/app/testdata/openapi.json")
	if err != nil {
		return nil, err
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("openapi.json", document); err != nil {
		return nil, err
	}
	schemas := map[string]*jsonschema.Schema{}
	for _, name := range []string{"RunEvent", "MoveEvent", "McpLogEvent", "WebSocketMessage", "Error"} {
		if schemas[name], err = c.Compile("openapi.json#/components/schemas/" + name); err != nil {
			return nil, err
		}
	}
	return schemas, nil
})

// checkSchema returns an error if a JSON text does not have the schema.
func checkSchema(name, text string) error {
	schemas, err := documentSchemas()
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return err
	}
	return schemas[name].Validate(v)
}

// wantSchema fails the test if a JSON text does not have the schema of the OpenAPI document.
func wantSchema(t *testing.T, name, text string) {
	t.Helper()
	if err := checkSchema(name, text); err != nil {
		t.Errorf("%s is not a %s of the OpenAPI document: %v", text, name, err)
	}
}

// streamSchema returns the name of the schema of the events that a path streams.
func streamSchema(path string) string {
	switch {
	case strings.HasPrefix(path, "/v1/files/move"):
		return "MoveEvent"
	case strings.HasSuffix(strings.Split(path, "?")[0], "/logs"):
		return "McpLogEvent"
	default:
		return "RunEvent"
	}
}

// A newcomer can send the examples of the OpenAPI document as they are.
func TestDocumentedExamplesWork(t *testing.T) {
	t.Parallel()
	s := shared(t)
	c := s.signIn()
	document := decode[struct {
		Paths map[string]struct {
			Post struct {
				RequestBody struct {
					Content map[string]struct{ Example object }
				}
			}
		}
	}](t, c.get("/openapi.json").want(t, 200))
	example := func(path string) object {
		return document.Paths[path].Post.RequestBody.Content["application/json"].Example
	}
	agent := decode[struct{ ID string }](t, c.post("/v1/agents", example("/v1/agents")).want(t, 201)).ID
	const chat = "/v1/agents/{agent_id}/chat"
	message := example(chat)
	reply := decode[chatReply](t, c.post(strings.Replace(chat, "{agent_id}", agent, 1), message).want(t, 200))
	if reply.Message != message["message"] {
		t.Errorf("got the answer %q, want the message that the model echo repeats", reply.Message)
	}
}

// Errors have the schema of the OpenAPI document in replies, streams and WebSocket messages.
func TestErrorsMatchTheirSchema(t *testing.T) {
	t.Parallel()
	s := shared(t)
	c := s.newMember()
	agent := c.newAgent("echo")
	end := c.startTurn(agent, "failing", "/error content_filter").readAll()
	if end.Type != "error" || end.Error.Message == "" {
		t.Errorf("got last event %s, want an error", end.data)
	}
	if again := c.runEvents(end.RunID, 0).readAll(); again.Error.Message != end.Error.Message {
		t.Errorf("got the error %s from the events of the run, want %s", again.data, end.data)
	}
	failed := c.post("/v1/agents/"+agent+"/chat", object{"message": "/error content_filter"}).want(t, 502)
	wantSchema(t, "Error", string(failed.body))
	w := c.dialWebSocket()
	w.send(object{"type": "subscribe", "channel": "agent.agent-none.events"})
	if m := w.receive(); m.Type != "error" {
		t.Errorf("got %s, want an error", m.raw)
	}
	for _, r := range []*reply{
		c.get("/v1/agents/agent-none"), c.get("/none"), c.do("DELETE", "/docs", nil), c.post("/v1/agents/", object{}),
		c.post("/v1/plugins/reload", nil), s.anonymous().get("/v1/agents/"),
	} {
		wantSchema(t, "Error", string(r.body))
	}
}
