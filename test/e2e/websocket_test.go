package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// socket is a WebSocket connection.
type socket struct {
	t    *testing.T
	ctx  context.Context
	conn *websocket.Conn
}

type wsMessage struct {
	Type    string
	Channel string
	Seq     int64
	Status  string
	TaskID  string `json:"task_id"`
	AgentID string `json:"agent_id"`
	Message string
	Level   string
	raw     string
}

// dialWebSocket opens a WebSocket and authenticates it.
func (c *client) dialWebSocket() *socket {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), waitTimeout)
	c.t.Cleanup(cancel)
	conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(c.url, "http")+"/v1/ws", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = conn.CloseNow() })
	w := &socket{t: c.t, ctx: ctx, conn: conn}
	w.send(object{"type": "auth", "token": c.token})
	if got := w.receive(); got.Type != "auth.ok" {
		c.t.Fatalf("auth returns %s, want auth.ok", got.raw)
	}
	return w
}

func (w *socket) send(o object) {
	w.t.Helper()
	data, err := json.Marshal(o)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.conn.Write(w.ctx, websocket.MessageText, data); err != nil {
		w.t.Fatal(err)
	}
}

func (w *socket) receive() wsMessage {
	w.t.Helper()
	_, data, err := w.conn.Read(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	wantSchema(w.t, "WebSocketMessage", string(data))
	m := wsMessage{raw: string(data)}
	if err := json.Unmarshal(data, &m); err != nil {
		w.t.Fatalf("%s: %v", data, err)
	}
	return m
}

func (w *socket) subscribe(channel string, more ...object) {
	w.t.Helper()
	o := object{"type": "subscribe", "channel": channel}
	for _, m := range more {
		for k, v := range m {
			o[k] = v
		}
	}
	w.send(o)
	if got := w.receive(); got.Type != "subscribed" || got.Channel != channel {
		w.t.Fatalf("subscribe returns %s, want subscribed", got.raw)
	}
}

func TestWebSocket(t *testing.T) {
	t.Parallel()
	onBothShared(t, func(t *testing.T, s *server) {
		c := s.newMember()
		agent := c.newAgent("echo")
		w := c.dialWebSocket()
		w.subscribe("agent." + agent + ".events")
		w.subscribe("tasks")
		c.chat(agent, "s", "Good day")
		m := w.receive()
		wantShape(t, `{"type": "agent.message", "agent_id": "agent-1", "session_id": "s", "message": "Good day"}`,
			[]byte(m.raw))
		one := c.newTask(agent, "Hello")
		// Both channels have each status of the task, and the agent's channel has the answer, too.
		seen := map[string][]string{}
		last := m.Seq
		for len(seen["tasks"]) < 3 || len(seen["agent."+agent+".events"]) < 4 {
			m := w.receive()
			if m.Seq < last || m.Type == "task.status" && m.TaskID != one.ID {
				t.Errorf("got %s after sequence number %d", m.raw, last)
			}
			last = m.Seq
			seen[m.Channel] = append(seen[m.Channel], m.Type+" "+m.Status)
		}
		if got := fmt.Sprint(seen["tasks"]); got != "[task.status pending task.status running task.status completed]" {
			t.Errorf("got %s on the channel tasks", got)
		}
		// A new connection can start at any sequence number.
		again := c.dialWebSocket()
		again.subscribe("task."+one.ID+".events", object{"after": 0})
		for _, want := range []string{"pending", "running", "completed"} {
			if m := again.receive(); m.Status != want {
				t.Errorf("got %s, want %s", m.raw, want)
			}
		}
		// A logout closes the connection.
		c.post("/v1/auth/logout", nil).want(t, 204)
		for {
			if _, _, err := w.conn.Read(w.ctx); err != nil {
				if websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
					t.Error(err)
				}
				break
			}
		}
	})
}

// A client that reconnects after the server was killed gets every message once.
func TestWebSocketResumes(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	c := s.signIn()
	agent := c.newAgent("echo")
	var last int64
	seen := map[string]int{}
	var made []string
	for range 3 {
		w := c.dialWebSocket()
		w.subscribe("tasks", object{"after": last})
		for i := range 5 {
			made = append(made, c.newTask(agent, fmt.Sprintf("Hello %d", i)).ID)
		}
		for range 7 {
			m := w.receive()
			if m.Seq <= last {
				t.Errorf("got sequence number %d after %d", m.Seq, last)
			}
			last = m.Seq
			seen[m.TaskID+" "+m.Status]++
		}
		s.kill()
		s.restart()
	}
	w := c.dialWebSocket()
	w.subscribe("tasks", object{"after": last})
	for len(seen) < 3*len(made) {
		m := w.receive()
		seen[m.TaskID+" "+m.Status]++
	}
	for what, n := range seen {
		if n != 1 {
			t.Errorf("got %s %d times, want once", what, n)
		}
	}
}

// A client that resumes from an earlier sequence number receives nothing of a deleted session or agent.
func TestWebSocketResumesAfterDeletion(t *testing.T) {
	t.Parallel()
	onBothShared(t, func(t *testing.T, s *server) {
		c := s.newMember()
		agent, other := c.newAgent("echo"), c.newAgent("echo")
		c.chat(agent, "deleted", "secret of the session")
		c.waitTask(c.newTask(other, "secret of the task").ID)
		channel := "agent." + agent + ".events"
		w := c.dialWebSocket()
		w.subscribe(channel, object{"after": 0})
		if m := w.receive(); !strings.Contains(m.raw, "secret of the session") {
			t.Fatalf("got %s before the deletion, want the answer", m.raw)
		}
		c.do("DELETE", "/v1/agents/"+agent+"/sessions/deleted", nil).want(t, 204)
		c.do("DELETE", "/v1/agents/"+other, nil).want(t, 204)

		c.chat(agent, "new", "Good day")
		again := c.dialWebSocket()
		again.subscribe(channel, object{"after": 0})
		if m := again.receive(); m.Message != "Good day" {
			t.Errorf("got %s after the deletion, want only the answer of the new session", m.raw)
		}
		c.waitTask(c.newTask(agent, "Good evening").ID)
		again = c.dialWebSocket()
		again.subscribe("tasks", object{"after": 0})
		for range 3 {
			if m := again.receive(); m.AgentID != agent {
				t.Errorf("got %s after the deletion, want only the task of the other agent", m.raw)
			}
		}
	})
}

// The system channel reports a plugin that is killed, and the server closes connections when it stops.
func TestWebSocketSystem(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	c := s.signIn()
	w := c.dialWebSocket()
	w.subscribe("system")
	kill(t, c.plugin("llm", "echo").PID)
	for _, want := range []string{"Plugin llm/echo exited and is being restarted", "Plugin llm/echo is running again"} {
		if m := w.receive(); m.Type != "system.notification" || m.Level == "" || !strings.Contains(m.Message, want) {
			t.Errorf("got %s, want %s", m.raw, want)
		}
	}
	s.terminate()
	_, _, err := w.conn.Read(w.ctx)
	if websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the connection ends with %v, want going away", err)
	}
}
