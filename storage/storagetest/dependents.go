package storagetest

import (
	"fmt"
	"testing"

	"github.com/agentarea/agentarea/core"
)

func testAgentDependents(t *testing.T, f *fixture) {
	v, other := f.user(t, "ada", core.RoleMember), f.user(t, "bob", core.RoleMember)
	nth := 0
	agent := func(owner core.Actor, name, typ, model string) *core.Agent {
		nth++
		return f.agent(t, owner, func(a *core.Agent) {
			a.Name, a.Type, a.Model, a.CreatedAt = name, typ, model, f.at(nth)
		})
	}
	title := func(s string) func(*core.Task) {
		return func(task *core.Task) { nth++; task.Title, task.CreatedAt = s, f.at(nth) }
	}
	mine := agent(v, "mine", "chat", "a")
	theirs := agent(other, "theirs", "loop", "a")
	agent(other, "inactive", "chat", "b")
	rest := agent(v, "rest", "chat", "c")

	f.task(t, mine, v.UserID, title("pending"))
	f.begin(t, theirs, f.task(t, theirs, other.UserID, title("running")))
	ended := f.task(t, mine, v.UserID, title("ended"))
	_, err := f.CancelTask(f.ctx, nil, v, ended.ID, f.at(99))
	ok(t, err)
	f.task(t, rest, v.UserID, title("of another agent"))

	agents, tasks, err := f.AgentDependents(f.ctx, []core.Dependency{
		{Type: "chat", Model: "a"}, {Type: "loop", Model: "a"}, {Type: "chat", Model: "b"}, {Type: "it's", Model: ""},
	})
	ok(t, err)
	same(t, "agents", agents, core.ObjectSample{Total: 3, Names: []string{"inactive", "theirs", "mine"}})
	same(t, "tasks", tasks, core.ObjectSample{Total: 2, Names: []string{"running", "pending"}})

	for _, dependencies := range [][]core.Dependency{nil, {{Type: "chat", Model: "none"}}} {
		agents, tasks, err = f.AgentDependents(f.ctx, dependencies)
		ok(t, err)
		same(t, fmt.Sprint("agents of ", dependencies), agents, core.ObjectSample{})
		same(t, fmt.Sprint("tasks of ", dependencies), tasks, core.ObjectSample{})
	}
}

func testFileDependents(t *testing.T, f *fixture) {
	v, other := f.user(t, "ada", core.RoleMember), f.user(t, "bob", core.RoleMember)
	for i := range 5 {
		f.file(t, []core.Actor{v, other}[i%2], func(file *core.File) {
			file.Name, file.Blob, file.CreatedAt = fmt.Sprint("f", i), newBlob("s3"), f.at(i)
		})
	}
	f.file(t, v)
	f.reserve(t, newBlob("s3")) // no file refers to it
	got, err := f.FileDependents(f.ctx, "s3")
	ok(t, err)
	same(t, "files", got, core.ObjectSample{Total: 5, Names: []string{"f4", "f3", "f2"}})
	got, err = f.FileDependents(f.ctx, "none")
	ok(t, err)
	same(t, "files of another backend", got, core.ObjectSample{})
}

func testMCPServerDependents(t *testing.T, f *fixture) {
	v, other := f.user(t, "ada", core.RoleMember), f.user(t, "bob", core.RoleMember)
	for i, owner := range []core.Actor{v, other} {
		f.server(t, owner, func(s *core.MCPServer) {
			s.Name, s.Transport, s.CreatedAt = fmt.Sprint("s", i), "sse", f.at(i)
		})
	}
	f.server(t, v)
	got, err := f.MCPServerDependents(f.ctx, "sse")
	ok(t, err)
	same(t, "servers", got, core.ObjectSample{Total: 2, Names: []string{"s1", "s0"}})
	got, err = f.MCPServerDependents(f.ctx, "none")
	ok(t, err)
	same(t, "servers of another transport", got, core.ObjectSample{})
}
