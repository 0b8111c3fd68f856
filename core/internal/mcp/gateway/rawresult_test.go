package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
)

// eraServer is a scriptedServer that supports only the legacy or only the modern revisions, and that answers
// all requests but lists with one result.
type eraServer struct {
	*scriptedServer
	modern bool
	result string
}

func (s *eraServer) Send(ctx context.Context, raw []byte) error {
	m, err := parseCompact(raw)
	if err != nil {
		return err
	}
	switch {
	case m.method == "server/discover" && !s.modern, m.method == "initialize" && s.modern:
		s.reply(m, `"error":{"code":-32601,"message":"method not found"}`)
	case m.method == "tools/list":
		s.reply(m, `"result":{"tools":[]}`)
	case m.method == "tools/call", m.method == "prompts/get", m.method == "resources/read":
		s.reply(m, `"result":`+s.result)
	default:
		return s.scriptedServer.Send(ctx, raw)
	}
	return nil
}

// Content of every kind passes through the gateway unchanged, also between eras of the protocol, where the
// gateway decodes it.
func TestContentIsUnchanged(t *testing.T) {
	t.Parallel()
	results := map[string]struct{ method, param, value, result string }{
		"text":              {"tools/call", "name", "t", `{"content":[{"type":"text","text":"ok"}]}`},
		"an unknown block":  {"tools/call", "name", "t", `{"content":[{"type":"text","text":"ok"},{"type":"hologram","data":1}]}`},
		"first":             {"tools/call", "name", "t", `{"content":[{"type":"hologram","data":{"deep":[1.5]}},{"type":"text","text":"ok"}]}`},
		"alone":             {"tools/call", "name", "t", `{"content":[{"type":"video","uri":"https://example.com/v"}]}`},
		"an error":          {"tools/call", "name", "t", `{"content":[{"type":"hologram"}],"isError":true}`},
		"structured":        {"tools/call", "name", "t", `{"content":[{"type":"hologram"}],"structuredContent":{"n":9007199254740993}}`},
		"without a type":    {"tools/call", "name", "t", `{"content":[{"text":"?"},{"type":"text","text":"ok"}]}`},
		"null":              {"tools/call", "name", "t", `{"content":[null]}`},
		"a string":          {"tools/call", "name", "t", `{"content":"plain"}`},
		"metadata":          {"tools/call", "name", "t", `{"content":[{"type":"hologram"}],"_meta":{"k":"v"},"own":[1]}`},
		"a prompt":          {"prompts/get", "name", "p", `{"messages":[{"role":"user","content":{"type":"hologram","data":1}}]}`},
		"a prompt as text":  {"prompts/get", "name", "p", `{"messages":[{"role":"user","content":{"type":"text","text":"ok"}}]}`},
		"a resource's blob": {"resources/read", "uri", "u:1", `{"contents":[{"uri":"u:1","blob":"***"}]}`},
	}
	for name, tt := range results {
		for _, modernServer := range []bool{false, true} {
			for _, modernClient := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, modern server %v, modern client %v", name, modernServer, modernClient), func(t *testing.T) {
					t.Parallel()
					r := newEnv(t, map[string]func() (Conn, error){"x": func() (Conn, error) {
						return &eraServer{newScriptedServer(), modernServer, tt.result}, nil
					}})
					var a *httpResponse
					if modernClient {
						body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"%s","params":{"%s":"%s",%s}}}`, tt.method, tt.param,
							tt.value, modernMeta)
						a = r.request(t, "POST", "/mcp/x/mcp", "ada", body, modernHeaders(tt.method, "Mcp-Name: "+tt.value)...)
					} else {
						session := "Mcp-Session-Id: " + r.open(t, "/mcp/x/mcp", "ada")
						body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"%s","params":{"%s":"%s"}}`, tt.method, tt.param, tt.value)
						a = r.request(t, "POST", "/mcp/x/mcp", "ada", body, session)
					}
					got, _ := a.message(t)["result"].(map[string]any)
					var want map[string]any
					if err := json.Unmarshal([]byte(tt.result), &want); err != nil {
						t.Fatal(err)
					}
					for key, value := range want {
						if !reflect.DeepEqual(got[key], value) {
							t.Errorf("%s = %v, want %v; the response is %s", key, got[key], value, a.body)
						}
					}
				})
			}
		}
	}
}
