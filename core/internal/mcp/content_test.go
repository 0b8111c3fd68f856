package mcp

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func TestResultsOfEveryKind(t *testing.T) {
	t.Parallel()
	l := Limits{Text: 40, Blobs: 6}
	for name, test := range map[string]struct{ in, want string }{
		"text": {
			`{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}`,
			`{"parts":[{"text":"a\nb"}]}`,
		},
		"nothing":            {`{"content":[]}`, `{}`},
		"an error":           {`{"content":[{"type":"text","text":"no"}],"isError":true}`, `{"parts":[{"text":"no"}],"is_error":true}`},
		"structured":         {`{"content":[],"structuredContent":{"n":1}}`, `{"parts":[{"text":"{\"n\":1}"}]}`},
		"structured as well": {`{"content":[{"type":"text","text":"one"}],"structuredContent":{"n":1}}`, `{"parts":[{"text":"one"}]}`},
		"image": {
			`{"content":[{"type":"text","text":"see"},{"type":"image","mimeType":"image/png","data":"AQID"},{"type":"text","text":"end"}]}`,
			`{"parts":[{"text":"see"},{"blob":{"media_type":"image/png","data":"AQID"}},{"text":"end"}]}`,
		},
		"audio": {`{"content":[{"type":"audio","mimeType":"audio/wav","data":"AQID"}]}`, `{"parts":[{"blob":{"media_type":"audio/wav","data":"AQID"}}]}`},
		"too many images": {
			`{"content":[{"type":"image","mimeType":"image/png","data":"AQIDBA=="},{"type":"image","mimeType":"image/gif","data":"AQIDBA=="}]}`,
			`{"parts":[{"blob":{"media_type":"image/png","data":"AQIDBA=="}},{"text":"[image image/gif of 4 bytes omitted: the result is too large]"}]}`,
		},
		"link": {
			`{"content":[{"type":"resource_link","uri":"file:///a","name":"a","mimeType":"text/css","size":5,"description":"A"}]}`,
			`{"parts":[{"text":"[resource file:///a, a, text/css, 5 byte\n[truncated: 4 more bytes of text; the maximum is 40]"}]}`,
		},
		"text resource": {
			`{"content":[{"type":"resource","resource":{"uri":"file:///a","text":"hello"}}]}`,
			`{"parts":[{"text":"[resource file:///a]\nhello"}]}`,
		},
		"text as bytes": {
			`{"content":[{"type":"resource","resource":{"uri":"file:///a","mimeType":"text/plain","blob":"aGVsbG8="}}]}`,
			`{"parts":[{"text":"[resource file:///a]\nhello"}]}`,
		},
		"resource": {
			`{"content":[{"type":"resource","resource":{"uri":"file:///d/a.pdf","mimeType":"application/pdf","blob":"AQID"}}]}`,
			`{"parts":[{"text":"[resource file:///d/a.pdf]"},{"blob":{"media_type":"application/pdf","data":"AQID","name":"a.pdf"}}]}`,
		},
		"long text, in whole runes": {
			`{"content":[{"type":"text","text":"` + strings.Repeat("a", 39) + `éé"},{"type":"text","text":"more"}]}`,
			`{"parts":[{"text":"` + strings.Repeat("a", 39) + `\n[truncated: 8 more bytes of text; the maximum is 40]"}]}`,
		},
		"what no database takes": {`{"content":[{"type":"text","text":"a\u0000b"}]}`, `{"parts":[{"text":"a` + "\uFFFD" + `b"}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var r mcp.CallToolResult
			if err := json.Unmarshal([]byte(test.in), &r); err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(l.result(&r))
			if err != nil || string(got) != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestToolNames(t *testing.T) {
	t.Parallel()
	slug := strings.Repeat("s", 40)
	seen := map[string]string{}
	for _, tool := range []string{
		"a", "A", "a.b", "a/b", "a_b", "a-b", "é", "ü", "",
		strings.Repeat("n", 22), strings.Repeat("n", 23), strings.Repeat("n", 24),
	} {
		name := toolName(slug, tool)
		if len(name) > 64 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" {
			t.Errorf("toolName of %q = %q", tool, name)
		}
		if other, taken := seen[name]; taken {
			t.Errorf("%q and %q both have the name %q", tool, other, name)
		}
		seen[name] = tool
		if !strings.HasPrefix(name, slug+"__") {
			t.Errorf("toolName of %q = %q, without the slug", tool, name)
		}
	}
}
