package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/agentarea/agentarea/test/openaitest"
	"github.com/agentarea/agentarea/test/testenv"
)

// countingTools is an MCP server with the tools write and read, which count their calls by key. The first call
// of a key lasts until the caller cancels it or the test ends. read declares itself read-only.
type countingTools struct {
	url     string
	testEnd chan struct{}

	mu    sync.Mutex
	calls map[string]int
	// open is the number of calls in progress.
	open int
}

func newCountingTools(t *testing.T) *countingTools {
	t.Helper()
	c := &countingTools{testEnd: make(chan struct{}), calls: map[string]int{}}
	type arguments struct {
		Key string `json:"key"`
	}
	call := func(ctx context.Context, _ *mcp.CallToolRequest, in arguments) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: c.call(ctx, in.Key)}}}, nil, nil
	}
	s := mcp.NewServer(&mcp.Implementation{Name: "counter", Version: "1"}, nil)
	mcp.AddTool(s, &mcp.Tool{Name: "write"}, call)
	mcp.AddTool(s, &mcp.Tool{Name: "read", Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true}}, call)
	h := httptest.NewServer(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, nil))
	t.Cleanup(func() {
		close(c.testEnd)
		h.CloseClientConnections() // streams stay open
		h.Close()
	})
	c.url = h.URL
	return c
}

func (c *countingTools) call(ctx context.Context, key string) string {
	c.mu.Lock()
	c.calls[key]++
	n := c.calls[key]
	c.open++
	c.mu.Unlock()
	if n == 1 {
		select {
		case <-ctx.Done():
		case <-c.testEnd:
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	return fmt.Sprintf("call %d of %s", n, key)
}

// counts returns the number of calls by key, and the number of calls in progress.
func (c *countingTools) counts() (calls map[string]int, open int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.calls), c.open
}

// signal sends a signal to a process of the server, such as SIGSTOP.
func signal(t *testing.T, pid int, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, s); err != nil {
		t.Fatal(err)
	}
}

// fencedModel answers "write K" and "read K" with a call of the tool for the key K, and a tool's result with its
// text. Its first answer to "think K" never ends.
func fencedModel() *openaitest.Server {
	thoughts := map[string]int{}
	return openaitest.New(openaitest.Options{Answer: func(r *openaitest.Request) openaitest.Reply {
		last := r.Messages[len(r.Messages)-1]
		words := strings.Fields(last.Text())
		switch {
		case last.Role != "user":
			return openaitest.Text("Result: " + last.Text())
		case words[0] == "think":
			thoughts[words[1]]++
			reply := openaitest.Text(fmt.Sprintf("This is thought %d of %s.", thoughts[words[1]], words[1]))
			if thoughts[words[1]] == 1 {
				reply.Fault, reply.FaultAfter = openaitest.Hang, 3
			}
			return reply
		}
		return openaitest.Tools(toolCall(1, "counter__"+words[0], fmt.Sprintf(`{"key":%q}`, words[1])))
	}})
}

// When the server that executes runs is paused, another one takes them over and completes them. When the first one
// continues, it abandons them: it calls no tool again, stores nothing, and its clients receive the other's answers.
func TestPausedServerIsFenced(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	for name, withPlugins := range map[string]bool{"server": false, "server and plugins": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testPausedServer(t, withPlugins)
		})
	}
}

func testPausedServer(t *testing.T, withPlugins bool) {
	t.Helper()
	model, tools := fencedModel(), newCountingTools(t)
	base, err := model.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = model.Close() })
	a, b := newServers(t, pluginsHCL(base)+`
plugin "mcp" "http" {
  command = "mcp-http"
  config {
    allow = ["127.0.0.1"]
  }
}
`)

	// Server a starts runs of all kinds. It is alone, so that the tasks are its own, too.
	a.start()
	one := a.signIn()
	counter := one.newMCPServer("counter", object{"url": tools.url})
	one.waitMCPServer(counter.ID, "the MCP server to run", running)
	agent := decode[struct{ ID string }](t, one.post("/v1/agents/", object{"name": "a", "type": "chat", "config": object{
		"model": "gpt-4o", "mcp_servers": []string{"counter"},
	}}).want(t, 201)).ID
	echo := one.newAgent("echo")
	type run struct {
		agent, session, id string
		stream             *stream
		answer             string
	}
	var runs []*run
	begin := func(agent, session, text, answer string) *run {
		r := &run{agent: agent, session: session, answer: answer, stream: one.startTurn(agent, session, text)}
		r.stream.next()
		r.id = r.stream.first().RunID
		runs = append(runs, r)
		return r
	}
	begin(agent, "write", "write chat-write", "The outcome of this call is unknown")
	begin(agent, "read", "read chat-read", "Result: call 2 of chat-read")
	begin(agent, "think", "think chat", "This is thought 2 of chat.").stream.readTokens(1)
	for word, answer := range map[string]string{
		"write": "The outcome of this call is unknown", "read": "Result: call 2 of task-read",
	} {
		made := one.newTask(agent, word+" task-"+word)
		eventually(t, "the task's tool call", func() bool { calls, _ := tools.counts(); return calls["task-"+word] == 1 })
		runs = append(runs, &run{agent: agent, session: made.ID, id: one.task(made.ID).RunID, answer: answer})
	}
	eventually(t, "four tool calls in progress", func() bool { _, open := tools.counts(); return open == 4 })

	// It is paused, and b completes the runs.
	b.start()
	two := &client{t: t, url: b.url, token: one.token}
	two.waitMCPServer(counter.ID, "the MCP server to run on the other server", running)
	begin(echo, "echo", "/tokens 300 /delay 10ms", "token-300").stream.readTokens(5)
	plugins := one.plugins()
	paused := []int{a.cmd.Process.Pid}
	for _, p := range plugins {
		if withPlugins {
			paused = append(paused, p.PID)
		}
	}
	for _, pid := range paused {
		signal(t, pid, syscall.SIGSTOP)
	}
	for _, r := range runs {
		if got := two.waitRun(r.id); got.Status != "completed" {
			t.Fatalf("got run %+v of session %s, want completed by the other server", got, r.session)
		}
	}
	before := b.runRows()

	// It continues.
	for _, pid := range paused {
		signal(t, pid, syscall.SIGCONT)
	}
	for _, r := range runs {
		eventually(t, "the end of the run of session "+r.session+" on the paused server", func() bool {
			return a.hasAbandoned(r.id)
		})
	}
	eventually(t, "the end of the calls of tools and models", func() bool {
		_, open := tools.counts()
		return open == 0 && model.Active() == 0
	})
	for _, r := range runs {
		if r.stream != nil {
			wantComplete(t, two, r.agent, r.session, r.stream)
		}
		h := two.history(r.agent, r.session)
		if len(h) != 2 || h[0].Role != "user" || h[1].Role != "assistant" || !strings.Contains(h[1].Content, r.answer) {
			t.Errorf("got history %+v of session %s, want a message and the answer %q", h, r.session, r.answer)
		}
	}
	calls, _ := tools.counts()
	if want := map[string]int{"chat-write": 1, "task-write": 1, "chat-read": 2, "task-read": 2}; !maps.Equal(calls, want) {
		t.Errorf("got calls %v, want %v: only a read-only tool may be called again", calls, want)
	}
	if after := b.runRows(); !maps.Equal(after, before) {
		t.Errorf("the paused server changed rows when it continued: got %v, want %v", after, before)
	}
	b.wantConsistentRuns()
	for i, p := range one.plugins() {
		if p.PID != plugins[i].PID || p.State != "running" {
			t.Errorf("got plugin %+v after the pause, want the same process as before: %+v", p, plugins[i])
		}
	}
	for line := range strings.Lines(a.stderr.String()) {
		if strings.Contains(line, "level=ERROR") || strings.Contains(line, "status=500") {
			t.Errorf("the paused server logged %s", line)
		}
	}
	if got := one.chat(echo, "after", "Hello").Message; got == "" {
		t.Error("the paused server gives no answer after it continued")
	}
}

// hasAbandoned reports whether the server's log says that it left the run to another server.
func (s *server) hasAbandoned(run string) bool {
	for line := range strings.Lines(s.stderr.String()) {
		if strings.Contains(line, run) && (strings.Contains(line, "abandoning run") ||
			strings.Contains(line, "leaving it to another server")) {
			return true
		}
	}
	return false
}

// runRows returns the number of rows of each table that runs write, with a hash of the rows. It leaves out the
// tokens that a crash or pause made void, which a restart event follows.
func (s *server) runRows() map[string]string {
	s.t.Helper()
	db := s.database()
	defer func() { _ = db.Close() }()
	rows := map[string]string{}
	for table, from := range map[string]string{
		"runs": "runs", "messages": "messages", "calls": "calls", "usage": "token_usage", "tasks": "tasks",
		"notifications": "notices", "events": "(SELECT * FROM events WHERE type <> 'token')",
	} {
		var text string
		err := db.QueryRow(`SELECT count(*) || ' ' || COALESCE(md5(string_agg(r::text, '|' ORDER BY r::text)), '') FROM ` +
			from + ` AS r`).Scan(&text)
		if err != nil {
			s.t.Fatal(err)
		}
		rows[table] = text
	}
	return rows
}

// wantConsistentRuns checks that each run has ended once, with the usage of its calls, and that its events do not
// overlap.
func (s *server) wantConsistentRuns() {
	s.t.Helper()
	db := s.database()
	defer func() { _ = db.Close() }()
	for _, query := range []string{
		`SELECT count(*) FROM runs WHERE status <> 'completed'`,
		`SELECT count(*) FROM runs AS r WHERE 1 <> (SELECT count(*) FROM events WHERE run_id = r.id AND type = 'end')`,
		`SELECT count(*) FROM runs AS r WHERE output_tokens <> (SELECT SUM(output_tokens) FROM calls WHERE run_id = r.id)`,
		`SELECT count(*) FROM events AS e JOIN events AS f ON e.run_id = f.run_id AND e.first < f.first AND e.last >= f.first`,
		`SELECT (SELECT count(*) FROM token_usage) - (SELECT count(*) FROM calls WHERE kind = 'complete' AND done)`,
		`SELECT count(*) FROM calls WHERE NOT done`,
	} {
		var n int
		if err := db.QueryRow(query).Scan(&n); err != nil || n != 0 {
			s.t.Errorf("%s returns %d (%v), want 0", query, n, err)
		}
	}
}
