package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/test/openaitest"
	"github.com/agentarea/agentarea/test/testenv"
)

// A transport of a third party that does not declare that it guards the network is for admins only.
func TestUnguardedTransport(t *testing.T) {
	t.Parallel()
	offered := make(chan bool, 10)
	base := upstream(t, openaitest.Options{Answer: func(r *openaitest.Request) openaitest.Reply {
		offered <- len(r.Tools) == 1 && r.Tools[0].Function.Name == "wiki__greet"
		return openaitest.Text("Done")
	}})
	s := start(t, fmt.Sprintf("plugin_dirs = [%q]\n%s%s", testenv.Build(t, "test/e2e/testdata/mcp-open"), pluginsHCL(base), `
plugin "mcp" "open" {
  command = "mcp-open"
}
`))
	admin := s.signIn()
	member := s.newUser(admin, "mia", "member")
	request := object{"name": "wiki", "slug": "wiki", "transport": "open", "shared": true, "config": object{"url": "http://10.0.0.1"}}
	if f := member.post("/v1/mcp-servers/", request).want(t, 403).failure(t); f.Code != "FORBIDDEN" ||
		!strings.Contains(f.Message, "guarded_network") {
		t.Errorf("member creates a server: got %+v, want the missing capability", f)
	}
	wiki := decode[mcpServer](t, admin.post("/v1/mcp-servers/", request).want(t, 201))
	admin.waitMCPServer(wiki.ID, "it runs", running)
	member.post("/v1/mcp-servers/"+wiki.ID+"/restart", nil).want(t, 403)
	initialize := object{
		"jsonrpc": "2.0", "id": 1, "method": "initialize",
		"params": object{"protocolVersion": "2025-06-18", "capabilities": object{}, "clientInfo": object{"name": "t", "version": "1"}},
	}
	accept := "Accept: application/json, text/event-stream"
	if r := member.do("POST", "/mcp/wiki/mcp/", initialize, accept); r.status != 403 ||
		!strings.Contains(string(r.body), "guarded_network") {
		t.Errorf("member calls the gateway: got status %d and %s, want 403", r.status, r.body)
	}
	admin.do("POST", "/mcp/wiki/mcp/", initialize, accept).want(t, 200)

	chat := func(owner, caller *client) *reply {
		t.Helper()
		agent := decode[struct{ ID string }](t, owner.post("/v1/agents/", object{
			"name": "a", "type": "chat", "shared": true, "config": object{"model": "gpt-4o", "mcp_servers": []string{"wiki"}},
		}).want(t, 201)).ID
		return caller.post("/v1/agents/"+agent+"/chat", object{"message": "Hello"})
	}
	chat(admin, admin).want(t, 200)
	if !<-offered {
		t.Error("the model does not get the tool in a run of an admin")
	}
	for name, r := range map[string]*reply{
		"an admin's agent":  chat(admin, member),
		"a member's agent":  chat(member, member),
		"the other's agent": chat(member, admin),
	} {
		if r.status < 400 || !strings.Contains(string(r.body), "guarded_network") {
			t.Errorf("%s: got status %d and %s, want an error with the missing capability", name, r.status, r.body)
		}
	}
	if len(offered) != 0 {
		t.Error("the model was called in a run in which a member takes part")
	}
}
