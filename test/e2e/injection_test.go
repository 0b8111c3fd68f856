package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"strings"
	"testing"
	"time"
)

// evil is a text with forged log lines and terminal escape sequences.
const evil = "x\r\ntime=2025-01-01T00:00:00Z level=ERROR msg=forged\n{\"level\":\"ERROR\",\"msg\":\"forged\"}\x1b[31m\u2028\u0085"

// Users cannot forge log lines, in both log formats.
func TestForgedLogLines(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"text", "json"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, openPlugins)
			s.env = append(s.env, "AGENTAREA_LOG_FORMAT="+format, "AGENTAREA_LOG_LEVEL=debug")
			s.start()
			c := s.signIn()
			c.post("/v1/auth/login", object{"username": evil, "password": evil})
			c.post("/v1/users/", object{"username": evil, "email": evil, "password": evil}).want(t, 400)
			made := c.post("/v1/agents/",
				object{"name": evil, "type": "chat", "config": object{"model": "echo", "system_prompt": evil}})
			if made.status == 201 {
				agent := decode[struct{ ID string }](t, made).ID
				c.post("/v1/agents/"+agent+"/chat", object{"message": evil}).want(t, 200)
				c.post("/v1/tasks/", object{"title": evil, "agent_id": agent})
			}
			c.get("/v1/agents/" + strings.ReplaceAll(fmt.Sprintf("%q", "a%0d%0alevel=ERROR%20msg=forged%1b[31m"), `"`, ""))
			c.get("/v1/agents/?type=%0d%0alevel=ERROR+msg=forged")
			// An MCP server that writes forged lines to its standard error.
			forger := decode[mcpServer](t,
				c.post("/v1/mcp-servers/",
					object{
						"name":   "forger",
						"config": object{"command": "sh", "args": []string{"-c", "printf '%s\\n' \"$0\" >&2; exit 1", evil}},
					}).want(t, 201))
			c.post("/v1/mcp-servers/", object{"name": evil, "config": object{"command": evil}})
			for _, id := range []string{"a\tb", strings.Repeat("a", 65), "é", "a b", `"`, "a%0ab", "[31m"} {
				if got := c.do("GET", "/health", nil, "X-Request-ID: "+id).header.Get("X-Request-Id"); got == id ||
					!strings.HasPrefix(got, "req-") {
					t.Errorf("got request id %q for %q, want a new one", got, id)
				}
			}
			c.waitMCPServer(forger.ID, "the MCP server to fail", func(s mcpServer) bool { return s.LastError != "" })
			for line := range strings.Lines(s.stderr.String()) {
				var fields map[string]any
				switch {
				case strings.ContainsAny(line, "\r\x1b"):
					t.Errorf("the log has control characters: %q", line)
				case format == "text" && (!strings.HasPrefix(line, "time=2") || strings.HasPrefix(line, "time=2025-01-01")):
					t.Errorf("the log has a forged line: %q", line)
				case format == "json" && (json.Unmarshal([]byte(line), &fields) != nil || fields["msg"] == "forged"):
					t.Errorf("the log has a forged line: %q", line)
				}
			}
		})
	}
}

// Users cannot inject headers into responses by a file's name or a request.
func TestInjectedHeaders(t *testing.T) {
	t.Parallel()
	s := shared(t)
	c := s.signIn()
	for _, name := range []string{
		"a\"b.txt", "a;filename=b.txt", "é\u00a0.txt", "a%0d%0aX-Injected: yes.txt", "a'b''c.txt", "${jndi}.txt",
	} {
		var b bytes.Buffer
		form := multipart.NewWriter(&b)
		part, err := form.CreateFormFile("file", name)
		if err == nil {
			_, err = io.WriteString(part, "bytes")
		}
		if err != nil || form.Close() != nil {
			t.Fatal(err)
		}
		r := c.do("POST", "/v1/files/upload", b.String(), "Content-Type: "+form.FormDataContentType()).want(t, 201)
		made := decode[struct{ ID, Name string }](t, r)
		if at := r.header.Get("Location"); !strings.HasSuffix(at, made.ID) || strings.ContainsAny(at, "\r\n ") {
			t.Errorf("got Location %q", at)
		}
		got := c.get("/v1/files/"+made.ID+"/download").want(t, 200)
		kind, params, err := mime.ParseMediaType(got.header.Get("Content-Disposition"))
		if err != nil || kind != "attachment" || params["filename"] != made.Name || got.header.Get("X-Injected") != "" {
			t.Errorf("%q: got Content-Disposition %q (%v)", made.Name, got.header.Get("Content-Disposition"), err)
		}
	}
	for _, raw := range []string{
		"GET /health HTTP/1.1\r\nHost: a\r\nX-Request-ID: a\rX-Injected: yes\r\n\r\n",
		"GET /health HTTP/1.1\r\nHost: a\r\nX-Request-ID: a\nX-Injected: yes\r\n\r\n",
		"GET /v1/x%0d%0aX-Injected:%20yes HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.WriteString(conn, raw); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, 4096)
		n, _ := conn.Read(answer) // an answer, or the connection is closed
		if head := string(answer[:n]); strings.Contains(head, "\nX-Injected") {
			t.Errorf("%q: got %q", raw, head)
		}
		conn.Close()
	}
}
