package e2e_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/agentarea/agentarea/test/mcptest"
	"github.com/agentarea/agentarea/test/openaitest"
)

// A shared agent never uses a server that is private to its caller. Its owner's server is used for other
// callers only with share_credentials. Nobody else can take over the slug of a server.
func TestSharedAgentUsesItsOwnersMCPServers(t *testing.T) {
	t.Parallel()
	var offers atomic.Int64 // the number of requests with tools
	base := upstream(t, openaitest.Options{Answer: func(r *openaitest.Request) openaitest.Reply {
		last := r.Messages[len(r.Messages)-1]
		switch {
		case last.Role != "user":
			return openaitest.Text("Result: " + last.Text())
		case len(r.Tools) > 0:
			offers.Add(1)
			return openaitest.Tools(toolCall(1, "ops__test_simple_text", `{}`))
		}
		return openaitest.Text("No tools.")
	}})
	s := start(t, pluginsHCL(base)+stdioPlugin+`plugin "mcp" "http" { command = "mcp-http" }`)
	admin := s.signIn()
	member := s.newUser(admin, "member", "member")
	ops := admin.newMCPServer("ops", object{"command": mcptest.EverythingServer(t)})
	admin.waitMCPServer(ops.ID, "the MCP server to run", running)
	server := "/v1/mcp-servers/" + ops.ID
	newAgent := func() object {
		return object{"name": "a", "type": "chat", "shared": true, "config": object{
			"model": "gpt-4o", "mcp_servers": []string{"ops"}, "tools": []string{"ops__test_simple_text"},
		}}
	}
	wantUnusable := func(c *client, agent, issue string) {
		t.Helper()
		f := c.post("/v1/agents/"+agent+"/chat", object{"message": "Go", "session_id": "s"}).want(t, 409).failure(t)
		if f.Code != "CONFLICT" || !strings.HasPrefix(f.Details.Issue, `MCP server "ops" `) ||
			!strings.HasPrefix(f.Details.Field, "config.mcp_servers") || !strings.Contains(f.Message, issue) {
			t.Errorf("got error %+v, want CONFLICT for config.mcp_servers: …%s…", f, issue)
		}
	}

	// A member cannot name the administrator's private server.
	f := member.post("/v1/agents/", newAgent()).want(t, 400).failure(t)
	if f.Details.Field != "config.mcp_servers[0]" || !strings.Contains(f.Details.Issue, `"ops" does not exist`) {
		t.Errorf("got error %+v, want config.mcp_servers[0] and that ops does not exist", f)
	}
	// An agent that named it while it was shared does not use it afterwards, not even for the administrator.
	admin.do("PATCH", server, object{"shared": true}).want(t, 200)
	agent := decode[struct{ ID string }](t, member.post("/v1/agents/", newAgent()).want(t, 201)).ID
	admin.do("PATCH", server, object{"shared": false}).want(t, 200)
	wantUnusable(admin, agent, "is not shared anymore")
	wantUnusable(member, agent, "is not shared anymore")

	// Members use the server through the administrator's agent only with share_credentials.
	agent = decode[struct{ ID string }](t, admin.post("/v1/agents/", newAgent()).want(t, 201)).ID
	wantUnusable(member, agent, "private to the owner")
	if n := offers.Load(); n != 0 {
		t.Errorf("the model got tools %d times, want never", n)
	}
	admin.do("PATCH", server, object{"share_credentials": true}).want(t, 200)
	member.get(server).want(t, 404)
	const want = "Result: This is a simple text response for testing."
	if reply := member.chat(agent, "t", "Go"); reply.Message != want {
		t.Errorf("got answer %q, want %q", reply.Message, want)
	}

	// A new slug changes nothing for the agent, and the old one stays reserved.
	admin.do("PATCH", server, object{"slug": "operations"}).want(t, 200)
	if reply := member.chat(agent, "u", "Go"); reply.Message != want {
		t.Errorf("after the renaming: got answer %q, want %q", reply.Message, want)
	}
	taken := object{"name": "ops", "slug": "ops", "config": object{"url": "https://example.com/mcp"}, "auto_start": false}
	if f := member.post("/v1/mcp-servers/", taken).want(t, 409).failure(t); !strings.Contains(f.Message, "is reserved") {
		t.Errorf("got error %+v, want that the slug is reserved", f)
	}
	if f := admin.do("DELETE", server, nil).want(t, 409).failure(t); !strings.Contains(f.Message, agent) ||
		!strings.Contains(f.Message, "force=true") {
		t.Errorf("got error %+v, want the agent and what to do", f)
	}
	admin.do("DELETE", server+"?force=true", nil).want(t, 204)
	member.post("/v1/mcp-servers/", taken).want(t, 409)
	wantUnusable(member, agent, "does not exist anymore")
}
