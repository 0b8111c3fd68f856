package mcp_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// A block that go-sdk cannot decode becomes a text that names it, and everything else in the result
// reaches the model.
func TestCall_unreadableBlocks(t *testing.T) {
	results := make(chan string, 1)
	dial := scripted(func(c *fakeConn, method string, id json.RawMessage) {
		switch {
		case handshake(c, method, id):
		case method == "tools/list":
			c.message(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"tools":[{"name":"t","inputSchema":{"type":"object"}}]}}`, id))
		default:
			c.message(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":%s}`, id, <-results))
		}
	})
	const ok = `{"type":"text","text":"ok"}`
	long := strings.Repeat("x", 200)
	withEnv(t, dial, func(t *testing.T, env *testEnv) {
		env.create(plainConfig)
		for name, tt := range map[string]struct {
			result, text string
			isError      bool
		}{
			"unknown type, last":    {`{"content":[` + ok + `,{"type":"hologram","data":1}]}`, "ok\n[content of the unknown type \"hologram\" omitted]", false},
			"unknown type, first":   {`{"content":[{"type":"video","data":"AA=="},` + ok + `]}`, "[content of the unknown type \"video\" omitted]\nok", false},
			"unknown type, alone":   {`{"content":[{"type":"hologram"}]}`, "[content of the unknown type \"hologram\" omitted]", false},
			"two unknown types":     {`{"content":[{"type":"a"},` + ok + `,{"type":"b"}]}`, "[content of the unknown type \"a\" omitted]\nok\n[content of the unknown type \"b\" omitted]", false},
			"structured, too":       {`{"content":[{"type":"hologram"}],"structuredContent":{"n":1}}`, "[content of the unknown type \"hologram\" omitted]\n{\"n\":1}", false},
			"an error":              {`{"content":[{"type":"hologram"},` + ok + `],"isError":true}`, "[content of the unknown type \"hologram\" omitted]\nok", true},
			"no type":               {`{"content":[` + ok + `,{"text":"?"}]}`, "ok\n[content without a type omitted]", false},
			"a number as type":      {`{"content":[` + ok + `,{"type":7}]}`, "ok\n[content without a type omitted]", false},
			"null":                  {`{"content":[null,` + ok + `]}`, "[content without a type omitted]\nok", false},
			"a string as block":     {`{"content":["plain",` + ok + `]}`, "plain\nok", false},
			"a string as content":   {`{"content":"plain"}`, "plain", false},
			"a block as content":    {`{"content":` + ok + `}`, "ok", false},
			"an image, not Base64":  {`{"content":[{"type":"image","mimeType":"image/png","data":"***"},` + ok + `]}`, "[image omitted: it is not valid]\nok", false},
			"a number as text":      {`{"content":[{"type":"text","text":5},` + ok + `]}`, "[text omitted: it is not valid]\nok", false},
			"a resource without it": {`{"content":[{"type":"resource"},` + ok + `]}`, "[resource omitted: it is not valid]\nok", false},
			"of sampling":           {`{"content":[{"type":"tool_use","id":"1","name":"n","input":{}},` + ok + `]}`, "[content of the unknown type \"tool_use\" omitted]\nok", false},
			"a long type":           {`{"content":[{"type":"` + long + `"}]}`, "[content of the unknown type \"" + long[:100] + "…\" omitted]", false},
		} {
			results <- tt.result
			if r := env.call("fs__t", "{}"); textOf(r) != tt.text || r.IsError != tt.isError {
				t.Errorf("%s: result = %q, error %v; want %q, %v", name, textOf(r), r.IsError, tt.text, tt.isError)
			}
		}
		// A result that is no result of a tool is an error.
		for _, result := range []string{`7`, `"text"`, `{"resultType":"input_required","inputRequests":7}`} {
			results <- result
			env.wantFailure(env.call("fs__t", "{}"), `MCP server "fs"`)
		}
	})
}
