package tasks

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api/apitest"
	"github.com/agentarea/agentarea/sdk"
)

const goodTask = `{"title":"Sum up","agent_id":"agent-1"}`

func TestCreateTask(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.files.Add("file-1", "ann", "a.txt", "text/plain", 1)
	made := env.Do(t, "ann", "POST", "/v1/tasks/",
		`{"title":"Process document","description":"Extract names","agent_id":"agent-1",`+
			`"priority":"high","data":{"n":12345678901234567890},"file_ids":["file-1"],"timeout_seconds":60,"max_attempts":5}`).
		Want(201)
	got := made.JSON()
	id, _ := got["id"].(string)
	if made.Header().Get("Location") != "/v1/tasks/"+id || made.Header().Get("Idempotency-Replayed") != "" {
		t.Errorf("POST /v1/tasks/ returned the id %q with the headers %v", id, made.Header())
	}
	for name, want := range map[string]any{
		"title": "Process document", "description": "Extract names",
		"agent_id": "agent-1", "priority": "high", "status": "pending",
		"timeout_seconds": 60.0, "max_attempts": 5.0, "attempts": 0.0,
		"created_by": "user-ann", "result": nil, "error": nil, "run_id": nil,
	} {
		if got[name] != want {
			t.Errorf("POST /v1/tasks/ returned %s %v, want %v", name, got[name], want)
		}
	}
	if !strings.Contains(made.Body.String(), `"data":{"n":12345678901234567890}`) {
		t.Errorf("POST /v1/tasks/ returned %s, want the data as it was sent", made.Body)
	}
	stored := env.tasks[id]
	if stored == nil || stored.Timeout != time.Minute || len(stored.Input) != 2 || stored.Input[1].File.ID != "file-1" {
		t.Errorf("POST /v1/tasks/ stored %+v, want a timeout of a minute and an input with the file", stored)
	}
	again := env.Do(t, "ann", "GET", "/v1/tasks/"+id, "").Want(200)
	if again.Body.String() != made.Body.String() {
		t.Errorf("GET /v1/tasks/%s = %s, want %s", id, again.Body, made.Body)
	}
}

func TestCreateTask_defaults(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	got := env.Do(t, "ann", "POST", "/v1/tasks", goodTask).Want(201).JSON()
	if got["priority"] != "medium" || got["max_attempts"] != 3.0 || got["timeout_seconds"] != nil || got["data"] != nil {
		t.Errorf("POST /v1/tasks = %v, want the default values", got)
	}
}

func TestCreateTask_idempotencyKey(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.agents.Add("agent-1", "bob", func(a *core.Agent) { a.Shared = true })
	const key = "Idempotency-Key: order-17"
	create := func(who, data string, status int, headers ...string) *apitest.Answer {
		t.Helper()
		return env.Do(t, who, "POST", "/v1/tasks/", `{"title":"Sum up","agent_id":"agent-1","data":`+data+`}`,
			headers...).Want(status)
	}
	first := create("ann", `{"n":1}`, 201, key)
	replay := create("ann", `{ "n": 1 }`, 201, key)
	if replay.Body.String() != first.Body.String() || replay.Header().Get("Idempotency-Replayed") != "true" {
		t.Errorf("the same request returned %s with headers %v, want %s", replay.Body, replay.Header(), first.Body)
	}
	if location := replay.Header().Get("Location"); location != first.Header().Get("Location") {
		t.Errorf("the same request returned the location %s, want %s", location, first.Header().Get("Location"))
	}
	if f := create("ann", `{"n":2}`, 409, key).Failure(); f.Code != core.CodeConflict {
		t.Errorf("another request with the key = %+v, want %s", f, core.CodeConflict)
	}
	for name, a := range map[string]*apitest.Answer{
		"another key":  create("ann", `{"n":1}`, 201, "Idempotency-Key: order-18"),
		"another user": create("bob", `{"n":1}`, 201, key),
		"no key":       create("ann", `{"n":1}`, 201),
	} {
		if a.Header().Get("Idempotency-Replayed") != "" || a.JSON()["id"] == first.JSON()["id"] {
			t.Errorf("a request with %s returned the task of the first request", name)
		}
	}
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.agents.Add("agent-off", "ann", func(a *core.Agent) { a.Status = core.AgentInactive })
	env.agents.Add("agent-bob", "bob")
	env.add("task-1", "ann")
	with := func(field string) string { return strings.TrimSuffix(goodTask, "}") + "," + field + "}" }
	const tasks = "/v1/tasks/"
	for name, c := range map[string]struct {
		method, path, body, header string
		status                     int
		field, issue               string
	}{
		"no title":              {"POST", tasks, `{"agent_id":"agent-1"}`, "", 400, "title", "Field is required"},
		"blank title":           {"POST", tasks, `{"title":" ","agent_id":"agent-1"}`, "", 400, "title", "Must not be empty"},
		"long title":            {"POST", tasks, `{"title":"` + strings.Repeat("a", 257) + `","agent_id":"agent-1"}`, "", 400, "title", "at most 256"},
		"no agent":              {"POST", tasks, `{"title":"a"}`, "", 400, "agent_id", "Field is required"},
		"unknown agent":         {"POST", tasks, `{"title":"a","agent_id":"agent-0"}`, "", 400, "agent_id", `Agent "agent-0" does not exist. GET /v1/agents/ lists the agents.`},
		"agent of another user": {"POST", tasks, `{"title":"a","agent_id":"agent-bob"}`, "", 400, "agent_id", `Agent "agent-bob" does not exist.`},
		"inactive agent":        {"POST", tasks, `{"title":"a","agent_id":"agent-off"}`, "", 409, "", ""},
		"unknown priority":      {"POST", tasks, with(`"priority":"urgent"`), "", 400, "priority", "Must be one of: low, medium, high"},
		"data is a list":        {"POST", tasks, with(`"data":[1]`), "", 400, "data", "Must be an object"},
		"too much data":         {"POST", tasks, with(`"data":{"a":"` + strings.Repeat("a", 256<<10) + `"}`), "", 400, "data", "Must be at most 256 KiB of JSON"},
		"unknown file":          {"POST", tasks, with(`"file_ids":["file-0"]`), "", 400, "file_ids[0]", `File "file-0" does not exist.`},
		"too many files":        {"POST", tasks, with(`"file_ids":["x"` + strings.Repeat(`,"x"`, 16) + `]`), "", 400, "file_ids", "at most 16 items"},
		"no time":               {"POST", tasks, with(`"timeout_seconds":0`), "", 400, "timeout_seconds", "Must be at least 1"},
		"too much time":         {"POST", tasks, with(`"timeout_seconds":86401`), "", 400, "timeout_seconds", "Must be at most 86400"},
		"no attempt":            {"POST", tasks, with(`"max_attempts":0`), "", 400, "max_attempts", "Must be at least 1"},
		"too many attempts":     {"POST", tasks, with(`"max_attempts":11`), "", 400, "max_attempts", "Must be at most 10"},
		"unknown field":         {"POST", tasks, with(`"prioritiy":"low"`), "", 400, "prioritiy", `Did you mean "priority"?`},
		"long key":              {"POST", tasks, goodTask, "Idempotency-Key: " + strings.Repeat("k", 256), 400, "Idempotency-Key", "at most 255 characters"},
		"key with an umlaut":    {"POST", tasks, goodTask, "Idempotency-Key: ü", 400, "Idempotency-Key", "Must be printable ASCII"},
		"unknown status":        {"GET", tasks + "?status=done", "", "", 400, "status", "Must be one of: pending, running, completed, failed, cancelled"},
		"unknown priority list": {"GET", tasks + "?priority=urgent", "", "", 400, "priority", "Must be one of: low, medium, high"},
		"limit":                 {"GET", tasks + "?limit=101", "", "", 400, "limit", "Must be at most 100"},
		"last event":            {"GET", tasks + "task-1/events", "", "Last-Event-ID: first", 400, "Last-Event-ID", "Must be the id of an event, such as 17"},
		"after":                 {"GET", tasks + "task-1/events?after=-1", "", "", 400, "after", "Must be at least 0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var headers []string
			if c.header != "" {
				headers = append(headers, c.header)
			}
			f := env.Do(t, "ann", c.method, c.path, c.body, headers...).Want(c.status).Failure()
			if f.Details.Field != c.field || !strings.Contains(f.Details.Issue, c.issue) {
				t.Errorf("%s %s = %+v, want field %q with issue %q", c.method, c.path, f.Details, c.field, c.issue)
			}
		})
	}
}

func TestListTasks(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.add("task-1", "ann")
	env.add("task-2", "ann", func(t *core.Task) { t.Priority, t.AgentID = core.PriorityHigh, "agent-2" })
	env.add("task-3", "ann", func(t *core.Task) { t.Status = core.TaskFailed })
	env.add("task-4", "bob", func(t *core.Task) { t.Priority = core.PriorityLow })
	for _, c := range []struct{ who, query, want string }{
		{"ann", "", "task-3 task-2 task-1"},
		{"ann", "status=failed", "task-3"},
		{"ann", "agent_id=agent-2", "task-2"},
		{"ann", "priority=high", "task-2"},
		{"ann", "priority=low", ""},
		{"ann", "priority=medium&status=pending", "task-1"},
		{"ann", "limit=1&offset=1", "task-2"},
		{"bob", "", "task-4"},
		{"root", "", "task-4 task-3 task-2 task-1"},
		{"eve", "", ""},
	} {
		var ids []string
		list := env.Do(t, c.who, "GET", "/v1/tasks/?"+c.query, "").Want(200).JSON()
		for _, one := range list["tasks"].([]any) {
			ids = append(ids, one.(map[string]any)["id"].(string))
		}
		if got := strings.Join(ids, " "); got != c.want {
			t.Errorf("GET /v1/tasks/?%s as %s = %q, want %q", c.query, c.who, got, c.want)
		}
	}
	page := env.Do(t, "ann", "GET", "/v1/tasks?limit=1&offset=1", "").Want(200).JSON()
	if page["total"] != 3.0 || page["limit"] != 1.0 || page["offset"] != 1.0 {
		t.Errorf("GET /v1/tasks?limit=1&offset=1 = %v, want a page of 3", page)
	}
}

func TestGetTask_progressAndEnd(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.add("task-retry", "ann", func(t *core.Task) {
		t.Attempts, t.RunID, t.RunAt = 1, "run-1", taskTime.Add(time.Minute)
		t.Error = &sdk.Error{Code: sdk.CodeRateLimited, Message: "Too many requests", Retryable: true}
		t.Steps, t.Step, t.Usage = 2, core.CallTool, sdk.Usage{InputTokens: 7, OutputTokens: 3}
	})
	env.add("task-done", "ann", func(t *core.Task) {
		t.Status, t.Attempts, t.Result = core.TaskCompleted, 1, json.RawMessage(`{"message":"<done>","message_id":"msg-1"}`)
		t.StartedAt, t.EndedAt = taskTime, taskTime
	})
	env.add("task-broken", "ann", func(t *core.Task) {
		t.Status, t.Error = core.TaskFailed, &sdk.Error{Code: sdk.CodeInternal, Message: apitest.ErrPrivate.Error()}
		t.RunID = "run-2"
	})
	for id, want := range map[string][]string{
		"task-retry": {
			`"status":"pending"`, `"error":{"code":"rate_limited","message":"Too many requests","retryable":true}`,
			`"progress":{"steps":2,"step":"call_tool"}`, `"attempts":1`,
			`"usage":{"input_tokens":7,"output_tokens":3}`, `"run_id":"run-1"`,
			`"next_attempt_at":"2025-01-02T03:05:05.000000Z"`,
		},
		"task-done": {
			`"status":"completed"`, `"result":{"message":"<done>","message_id":"msg-1"}`,
			`"started_at":"2025-01-02T03:04:05.000000Z","completed_at":"2025-01-02T03:04:05.000000Z"`,
		},
		"task-broken": {
			`"status":"failed"`,
			`"error":{"code":"internal","message":"Internal error; the server's log has the reason under run_id run-2",` +
				`"retryable":false}`,
		},
	} {
		body := env.Do(t, "ann", "GET", "/v1/tasks/"+id, "").Want(200).Body.String()
		for _, part := range want {
			if !strings.Contains(body, part) {
				t.Errorf("GET /v1/tasks/%s = %s, want %s in it", id, body, part)
			}
		}
		if next := strings.Contains(body, "next_attempt_at"); next != (id == "task-retry") {
			t.Errorf("GET /v1/tasks/%s = %s, want next_attempt_at only while the task waits for an attempt", id, body)
		}
	}
}

func TestCancelTask(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.add("task-1", "ann")
	if got := env.Do(t, "ann", "POST", "/v1/tasks/task-1/cancel", "").Want(200).JSON(); got["status"] != "cancelled" ||
		got["completed_at"] == nil {
		t.Errorf("POST /v1/tasks/task-1/cancel = %v, want a cancelled task", got)
	}
	if f := env.Do(t, "ann", "POST", "/v1/tasks/task-1/cancel/", "").Want(409).Failure(); f.Code != core.CodeConflict {
		t.Errorf("the second cancel = %+v, want %s", f, core.CodeConflict)
	}
}

func TestWatchTask(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.add("task-1", "ann")
	for _, c := range []struct {
		query, header string
		after         int64
	}{{"", "", 0}, {"?after=3", "", 3}, {"?after=3", "Last-Event-ID: 7", 7}} {
		var headers []string
		if c.header != "" {
			headers = append(headers, c.header)
		}
		a := env.Do(t, "ann", "GET", "/v1/tasks/task-1/events"+c.query, "", headers...).Want(200)
		if env.watchedAfter != c.after || !strings.Contains(a.Body.String(), `data: {"type":"end"}`) {
			t.Errorf("the events%s with %q start after %d, want %d: %s", c.query, c.header, env.watchedAfter, c.after, a.Body)
		}
	}
}

func TestForeignTasksLookLikeMissingOnes(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.add("task-1", "bob")
	for _, c := range []struct{ method, path string }{
		{"GET", "/v1/tasks/%"}, {"GET", "/v1/tasks/%/events"}, {"POST", "/v1/tasks/%/cancel"},
	} {
		at := func(id string) string {
			path := strings.ReplaceAll(c.path, "%", id)
			return strings.ReplaceAll(env.Do(t, "ann", c.method, path, "", "X-Request-ID: req-1").Want(404).Body.String(), id,
				"")
		}
		if foreign, missing := at("task-1"), at("task-2"); foreign != missing {
			t.Errorf("%s %s = %s for a foreign task, %s for a missing one", c.method, c.path, foreign, missing)
		}
	}
	env.Do(t, "root", "GET", "/v1/tasks/task-1", "").Want(200)
	env.Do(t, "root", "POST", "/v1/tasks/task-1/cancel", "").Want(200)
}

func TestViewersOnlyRead(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.agents.Add("agent-1", "ann", func(a *core.Agent) { a.Shared = true })
	env.add("task-1", "eve")
	env.Do(t, "eve", "GET", "/v1/tasks/task-1", "").Want(200)
	env.Do(t, "eve", "POST", "/v1/tasks/", goodTask).Want(403)
	env.Do(t, "eve", "POST", "/v1/tasks/task-1/cancel", "").Want(403)
	env.Do(t, "", "GET", "/v1/tasks/", "").Want(401)
}

func TestGetTask_queuePosition(t *testing.T) {
	t.Parallel()
	env := newEnv(t)
	env.position = 7
	env.add("task-1", "ann")
	env.add("task-2", "ann", func(t *core.Task) { t.Status = core.TaskCompleted })
	if got := env.Do(t, "ann", "GET", "/v1/tasks/task-1", "").Want(200).JSON()["queue_position"]; got != 7.0 {
		t.Errorf("queue_position of a pending task = %v, want 7", got)
	}
	if got, has := env.Do(t, "ann", "GET", "/v1/tasks/task-2", "").Want(200).JSON()["queue_position"]; has {
		t.Errorf("queue_position of a completed task = %v, want none", got)
	}
}
