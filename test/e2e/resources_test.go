package e2e_test

import (
	"net/url"
	"testing"
)

type message struct {
	ID        string `json:"id"`
	Role      string `json:"role"`
	Content   string `json:"content"`
	Timestamp string `json:"timestamp"`
	Metadata  struct {
		RunID  string `json:"run_id"`
		Status string `json:"status"`
	} `json:"metadata"`
}

// chatReply is the reply to a turn that is not streamed.
type chatReply struct {
	ID        string `json:"id"`
	Message   string `json:"message"`
	SessionID string `json:"session_id"`
	Metadata  struct {
		RunID string `json:"run_id"`
	} `json:"metadata"`
}

type runState struct {
	ID        string `json:"id"`
	Status    string `json:"status"`
	MessageID string `json:"message_id"`
	Attempt   int    `json:"attempt"`
	Error     struct {
		Code string `json:"code"`
	} `json:"error"`
}

type plugin struct {
	Kind       string `json:"kind"`
	Label      string `json:"label"`
	State      string `json:"state"`
	PID        int    `json:"pid"`
	Restarts   int    `json:"restarts"`
	Generation int
	Memory     int64 `json:"memory_bytes"`
}

// newAgent creates a chat agent with a model, and returns its id.
func (c *client) newAgent(model string) string {
	c.t.Helper()
	r := c.post("/v1/agents/", object{"name": "an agent", "type": "chat", "config": object{"model": model}})
	return decode[struct{ ID string }](c.t, r.want(c.t, 201)).ID
}

// chat has one turn that is not streamed.
func (c *client) chat(agent, session, text string) chatReply {
	c.t.Helper()
	r := c.post("/v1/agents/"+agent+"/chat", object{"message": text, "session_id": session})
	return decode[chatReply](c.t, r.want(c.t, 200))
}

// history returns all messages of a session, oldest first.
func (c *client) history(agent, session string) []message {
	c.t.Helper()
	var all []message
	before := ""
	for {
		page := decode[struct {
			Messages []message
			HasMore  bool `json:"has_more"`
		}](c.t,
			c.get("/v1/agents/"+agent+"/chat/history?limit=100&session_id="+session+"&before="+url.QueryEscape(before)).
				want(c.t, 200))
		all = append(page.Messages, all...)
		if !page.HasMore || len(page.Messages) == 0 {
			return all
		}
		before = page.Messages[0].Timestamp
	}
}

func (c *client) run(id string) runState {
	c.t.Helper()
	return decode[runState](c.t, c.get("/v1/runs/"+id).want(c.t, 200))
}

// waitRun waits until a run has ended.
func (c *client) waitRun(id string) runState {
	c.t.Helper()
	var r runState
	eventually(c.t, "the end of "+id, func() bool {
		r = c.run(id)
		return r.Status != "running"
	})
	return r
}

func (c *client) plugins() []plugin {
	c.t.Helper()
	return decode[struct{ Plugins []plugin }](c.t, c.get("/v1/plugins").want(c.t, 200)).Plugins
}

func (c *client) plugin(kind, label string) plugin {
	c.t.Helper()
	for _, p := range c.plugins() {
		if p.Kind == kind && p.Label == label {
			return p
		}
	}
	c.t.Fatalf("there is no plugin %s/%s", kind, label)
	return plugin{}
}

// wantGone waits until the processes of all plugins have ended.
func wantGone(t *testing.T, plugins []plugin) {
	t.Helper()
	eventually(t, "the end of the plugins", func() bool {
		for _, p := range plugins {
			if p.PID != 0 && alive(p.PID) {
				return false
			}
		}
		return true
	})
}
