package e2e_test

import (
	"strings"
	"testing"

	"github.com/agentarea/agentarea/test/openaitest"
)

// A turn receives the tool calls of earlier turns. A turn that failed does not make later turns fail, although the
// model requires that the user and the model alternate.
func TestSessionContinues(t *testing.T) {
	t.Parallel()
	base := upstream(t, openaitest.Options{Answer: func(r *openaitest.Request) openaitest.Reply {
		last := r.Messages[len(r.Messages)-1]
		var roles []string
		for i, m := range r.Messages {
			if i > 0 && m.Role == r.Messages[i-1].Role {
				return openaitest.Fail(400, openaitest.Error{Message: "Conversation roles must alternate"})
			}
			roles = append(roles, m.Role)
		}
		switch {
		case last.Role == "user" && strings.Contains(string(last.Content), "list"):
			return fileCall(1, "list", "{}")
		case strings.HasSuffix(string(last.Content), `fail"`):
			return openaitest.Fail(400, openaitest.Error{Message: "Unsupported content"})
		}
		return openaitest.Text(strings.Join(roles, " "))
	}})
	s := start(t, pluginsHCL(base)+localFiles)
	c := s.signIn()
	agent := c.newWriter()
	chat := "/v1/agents/" + agent + "/chat"
	if got := c.chat(agent, "s", "Please list my files").Message; got != "user assistant tool" {
		t.Errorf("first turn: the model got %s", got)
	}
	c.post(chat, object{"message": "fail", "session_id": "s"}).want(t, 502)
	if got := c.chat(agent, "s", "And now?").Message; got != "user assistant tool assistant user" {
		t.Errorf("third turn: the model got the roles %s, want those of the first turn and one of the user", got)
	}
	history := decode[struct {
		Messages []struct {
			ToolCalls []struct{ ID, Name, Result string } `json:"tool_calls"`
		}
	}](t, c.get(chat+"/history?session_id=s").want(t, 200)).Messages
	if len(history) != 5 || len(history[1].ToolCalls) != 1 || history[1].ToolCalls[0].Name != "files__list" ||
		history[1].ToolCalls[0].Result != `{"files":[]}` {
		t.Errorf("got history %+v, want the call of files__list with its result in the second of 5 messages", history)
	}
}
