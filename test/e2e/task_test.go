package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

type task struct {
	ID            string
	Status        string
	Priority      string
	Attempts      int
	QueuePosition int    `json:"queue_position"`
	RunID         string `json:"run_id"`
	Result        struct {
		Message   string
		MessageID string `json:"message_id"`
	}
	Error *struct {
		Code    string
		Message string
	}
	Progress struct{ Steps int }
	Usage    struct {
		OutputTokens int `json:"output_tokens"`
	}
}

// ended reports whether the task has ended.
func (t *task) ended() bool { return t.Status != "pending" && t.Status != "running" }

// newTask creates a task with a title, which llm-echo answers with. more has additional fields.
func (c *client) newTask(agent, title string, more ...object) task {
	c.t.Helper()
	return decode[task](c.t, c.post("/v1/tasks/", taskBody(agent, title, more...)).want(c.t, 201))
}

func taskBody(agent, title string, more ...object) object {
	body := object{"title": title, "agent_id": agent}
	for _, m := range more {
		for k, v := range m {
			body[k] = v
		}
	}
	return body
}

func (c *client) task(id string) task {
	c.t.Helper()
	return decode[task](c.t, c.get("/v1/tasks/"+id).want(c.t, 200))
}

// waitTask waits until a task has ended.
func (c *client) waitTask(id string) task {
	c.t.Helper()
	var last task
	eventually(c.t, "the end of "+id, func() bool {
		last = c.task(id)
		return last.ended()
	})
	return last
}

func TestTask(t *testing.T) {
	t.Parallel()
	onBothShared(t, func(t *testing.T, s *server) {
		c := s.newMember()
		agent := c.newAgent("echo")
		made := c.post("/v1/tasks/", object{
			"title": "Process document", "description": "Extract key information", "agent_id": agent, "priority": "high",
			"data": object{"document_url": "https://example.com/doc.pdf"},
		}).want(t, 201)
		wantShape(t,
			`{"id": "task-1", "title": "Process document", "status": "pending", "priority": "high", "agent_id": "agent-1"}`,
			made.body)
		one := decode[task](t, made)
		if got := made.header.Get("Location"); got != "/v1/tasks/"+one.ID {
			t.Errorf("got Location %q, want the task", got)
		}
		got := c.waitTask(one.ID)
		if got.Status != "completed" || got.Attempts != 1 || got.Progress.Steps != 1 || got.Usage.OutputTokens == 0 ||
			!strings.Contains(got.Result.Message, "https://example.com/doc.pdf") {
			t.Errorf("got task %+v, want completed with the URL in its result", got)
		}
		if r := c.run(got.RunID); r.Status != "completed" || r.MessageID != got.Result.MessageID {
			t.Errorf("got run %+v, want completed with the task's message", r)
		}
		events, refused, err := c.tryStream("GET", "/v1/tasks/"+one.ID+"/events", nil)
		if err != nil || refused != nil {
			t.Fatalf("%v %+v", err, refused)
		}
		if end := events.readAll(); end.Type != "end" || messageText(events.seen) != got.Result.Message {
			t.Errorf("the events end with %s, want end", end.data)
		}
		c.post("/v1/tasks/"+one.ID+"/cancel", nil).want(t, 409)
	})
}

func TestTaskLists(t *testing.T) {
	t.Parallel()
	s := shared(t)
	c := s.newMember()
	agent, other := c.newAgent("echo"), c.newAgent("echo")
	var ids []string
	for i, priority := range []string{"low", "medium", "high"} {
		ids = append(ids, c.newTask([]string{agent, other}[i%2], "Hello", object{"priority": priority}).ID)
	}
	for _, id := range ids {
		c.waitTask(id)
	}
	for query, want := range map[string][]string{
		"":                              {ids[2], ids[1], ids[0]},
		"?limit=1&offset=1":             {ids[1]},
		"?priority=low":                 {ids[0]},
		"?agent_id=" + other:            {ids[1]},
		"?status=failed":                {},
		"?status=completed&limit=2":     {ids[2], ids[1]},
		"?agent_id=agent-none":          {},
		"?priority=high&status=pending": {},
	} {
		l := decode[struct{ Tasks []task }](t, c.get("/v1/tasks/"+query).want(t, 200))
		got := []string{}
		for _, one := range l.Tasks {
			got = append(got, one.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", query, got, want)
		}
	}
	bob := s.newMember()
	bob.get("/v1/tasks/"+ids[0]).want(t, 404)
	bob.post("/v1/tasks/"+ids[0]+"/cancel", nil).want(t, 404)
	bob.get("/v1/tasks/"+ids[0]+"/events").want(t, 404)
	if l := decode[struct{ Total int }](t, bob.get("/v1/tasks/").want(t, 200)); l.Total != 0 {
		t.Errorf("another user sees %d tasks, want none", l.Total)
	}
	if f := bob.post("/v1/tasks/", taskBody(agent, "Hello")).want(t, 400).failure(t); f.Details.Field != "agent_id" {
		t.Errorf("got error %+v for another user's agent, want field agent_id", f)
	}
}

func TestTaskBadInput(t *testing.T) {
	t.Parallel()
	c := shared(t).newMember()
	agent := c.newAgent("echo")
	for field, body := range map[string]object{
		"title":           {"agent_id": agent},
		"agent_id":        {"title": "x", "agent_id": "agent-none"},
		"priority":        taskBody(agent, "x", object{"priority": "urgent"}),
		"data":            taskBody(agent, "x", object{"data": object{"text": strings.Repeat("x", 256<<10)}}),
		"max_attempts":    taskBody(agent, "x", object{"max_attempts": 11}),
		"timeout_seconds": taskBody(agent, "x", object{"timeout_seconds": -1}),
		"file_ids[0]":     taskBody(agent, "x", object{"file_ids": []string{"file-none"}}),
		"due":             taskBody(agent, "x", object{"due": "tomorrow"}),
	} {
		if f := c.post("/v1/tasks/", body).want(t, 400).failure(t); f.Code != "VALIDATION_ERROR" || f.Details.Field != field {
			t.Errorf("%s: got error %+v", field, f)
		}
	}
	for _, query := range []string{"?status=done", "?priority=urgent", "?limit=101"} {
		c.get("/v1/tasks/"+query).want(t, 400)
	}
	c.get("/v1/tasks/task-none").want(t, 404)
	if l := decode[struct{ Total int }](t, c.get("/v1/tasks/").want(t, 200)); l.Total != 0 {
		t.Errorf("got %d tasks after invalid input, want none", l.Total)
	}
}

func TestTaskCancel(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	s.args = append(s.args, "--task-slots", "1")
	s.start()
	c := s.signIn()
	agent := c.newAgent("echo")
	running := c.newTask(agent, "/tokens 10000 /delay 10ms")
	eventually(t, "a running task", func() bool { return c.task(running.ID).Status == "running" })
	waiting := c.newTask(agent, "Hello")
	behind := c.newTask(agent, "Hello again")
	for id, want := range map[string]int{running.ID: 0, waiting.ID: 1, behind.ID: 2} {
		if got := c.task(id).QueuePosition; got != want {
			t.Errorf("queue_position of %s = %d, want %d", id, got, want)
		}
	}
	for _, one := range []task{waiting, running} {
		got := decode[task](t, c.post("/v1/tasks/"+one.ID+"/cancel", nil).want(t, 200))
		if got.Status != "cancelled" {
			t.Errorf("got task %+v, want cancelled", got)
		}
		c.post("/v1/tasks/"+one.ID+"/cancel", nil).want(t, 409)
	}
}

// The queue alternates between users, so that many tasks of one user do not delay the task of another.
func TestTasksAlternateBetweenUsers(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	s.args = append(s.args, "--task-slots", "1")
	s.start()
	c := s.signIn()
	bob := s.newUser(c, "bob", "member")
	agent, his := c.newAgent("echo"), bob.newAgent("echo")
	for i := range 40 {
		c.newTask(agent, fmt.Sprintf("/tokens 10 /delay 5ms %d", i))
	}
	bob.waitTask(bob.newTask(his, "Hello").ID)
	l := decode[struct{ Total int }](t, c.get("/v1/tasks/?status=pending").want(t, 200))
	if l.Total < 20 {
		t.Errorf("%d tasks of the first user waited when the second user's task had ended, want at least 20", l.Total)
	}
}

// If the server is killed while tasks run, each task ends once, with one answer.
func TestServerKilledDuringTasks(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, on func(*server) *server) {
		s := startAt(t, on)
		c := s.signIn()
		agent := c.newAgent("echo")
		var made []task
		for range 3 {
			for i := range 12 {
				made = append(made, c.newTask(agent, fmt.Sprintf("/tokens 30 /delay 10ms %d", i)))
			}
			eventually(t, "a running task", func() bool {
				l := decode[struct{ Total int }](t, c.get("/v1/tasks/?status=running").want(t, 200))
				return l.Total > 0
			})
			s.kill()
			s.restart()
		}
		for _, one := range made {
			got := c.waitTask(one.ID)
			if got.Status != "completed" || got.Attempts != 1 {
				t.Errorf("got task %+v, want completed at the first attempt", got)
			}
			if h := c.history(agent, got.ID); len(h) != 2 {
				t.Errorf("got %d messages of task %s, want 2", len(h), got.ID)
			}
		}
	})
}

// A task that fails with a temporary error is retried.
func TestTaskIsRetried(t *testing.T) {
	t.Parallel()
	s := shared(t)
	c := s.signIn()
	agent := c.newAgent("echo")
	got := c.waitTask(c.newTask(agent, "/error rate_limited", object{"max_attempts": 2}).ID)
	if got.Status != "failed" || got.Attempts != 2 || got.Error == nil || got.Error.Code != "rate_limited" {
		t.Errorf("got task %+v, want failed after 2 attempts", got)
	}
}
