package run_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/agents"
	"github.com/agentarea/agentarea/core/internal/events"
	"github.com/agentarea/agentarea/core/internal/run"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
	"github.com/agentarea/agentarea/sdk/llm"
	"github.com/agentarea/agentarea/storage"
	"github.com/agentarea/agentarea/test/dbtest"
)

// callFunc makes the next numbered host call.
type callFunc = func(*agent.Call) (*agent.Result, error)

// loop is an agent type that runs in the test process.
type loop func(ctx context.Context, r *agent.Run, call callFunc) (*sdk.Message, error)

func (l loop) Run(ctx context.Context, r *agent.Run, h agent.Handler) (*sdk.Message, error) {
	var number uint64
	return l(ctx, r, func(c *agent.Call) (*agent.Result, error) {
		number++
		c.Number = number
		return h.Handle(ctx, c)
	})
}

func complete(text string, final bool) *agent.Call {
	return &agent.Call{Complete: &agent.Completion{
		Model: "m", Messages: []sdk.Message{sdk.Text(sdk.RoleUser, text)}, Forward: true, Final: final,
	}}
}

// chat asks the model once and returns its answer.
func chat(_ context.Context, r *agent.Run, call callFunc) (*sdk.Message, error) {
	_, err := call(complete(r.Input.Text(), true))
	return nil, err
}

// provider is an LLM provider that runs in the test process.
type provider func(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error)

func (provider) ListModels(context.Context) ([]llm.Model, error) { return nil, nil }

func (p provider) Chat(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
	return p(ctx, req, out)
}

// say returns a provider that answers with words, one token each.
func say(words ...string) provider {
	return func(_ context.Context, _ *llm.Request, out llm.Stream) (*llm.Finish, error) {
		for _, w := range words {
			if err := out.Send(llm.Delta{Text: w}); err != nil {
				return nil, err
			}
		}
		usage := sdk.Usage{InputTokens: 2, OutputTokens: int64(len(words))}
		return &llm.Finish{Reason: llm.FinishStop, Model: "m-1", Usage: usage}, nil
	}
}

// plugins are the plugins that the engine finds. A test may change them at any time.
type plugins struct {
	mu          sync.Mutex
	agent       agent.Runner
	provider    llm.Provider
	unsupported string
}

func (p *plugins) Supports(_ context.Context, _, capability string) bool {
	return p.unsupported != capability
}

func (p *plugins) set(a agent.Runner, m llm.Provider) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.agent, p.provider = a, m
}

func (p *plugins) Agent(context.Context, string) (agent.Runner, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.agent == nil {
		return nil, core.Unavailable("agent type chat is down")
	}
	return p.agent, nil
}

func (p *plugins) Provider(context.Context, string) (string, string, llm.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.provider == nil {
		return "", "", nil, core.Unavailable("provider test is down")
	}
	return "test", "m", p.provider, nil
}

// testEnv is a database and the servers that a test runs on it.
type testEnv struct {
	t       testing.TB
	db      *storage.DB
	plugins *plugins
	toolbox run.Toolbox
	files   *fakeFiles
	agent   *core.Agent
	actor   core.Actor
	// slots is the number of tasks that a server executes at once. With 0, it executes none.
	slots int
}

func newEnv(t testing.TB) *testEnv {
	t.Helper()
	return newEnvOn(t, dbtest.Open(t))
}

func newEnvOn(t testing.TB, db *storage.DB) *testEnv {
	t.Helper()
	now := time.Now().UTC()
	u := &core.User{
		ID: core.NewID("user"), Username: "ann", Email: "ann@example.com",
		Role: core.RoleMember, CreatedAt: now, UpdatedAt: now,
	}
	a := &core.Agent{
		ID: core.NewID("agent"), Name: "a", Type: "chat", Status: core.AgentActive, Config: json.RawMessage(`{"model":"m"}`),
		Model: "m", Version: 1, CreatedBy: u.ID, CreatedAt: now, UpdatedAt: now,
	}
	if err := errors.Join(db.CreateUser(t.Context(), nil, u), db.CreateAgent(t.Context(), nil, a)); err != nil {
		t.Fatal(err)
	}
	return &testEnv{
		t: t, db: db, plugins: &plugins{}, files: newFakeFiles(), agent: a, actor: core.Actor{UserID: u.ID, Role: u.Role},
	}
}

// server is a server on the database of its testEnv. A crashed one is not started again.
type server struct {
	*run.Engine
	env  *testEnv
	once sync.Once
}

// start starts a server, which crashes at the end of the test. change modifies its options first.
func (env *testEnv) start(change ...func(*run.Options)) *server {
	env.t.Helper()
	logger := slog.New(slog.NewTextHandler(env.t.Output(), nil))
	log := events.NewLog(env.db, logger)
	o := run.Options{
		Runs: env.db, Messages: env.db, Tasks: env.db, Agents: agents.New(env.db, env.db, nil, nil), Log: log,
		Plugins: env.plugins, Toolbox: env.toolbox, Logger: logger, Owner: core.NewID("server"),
		Times: run.Times{
			Renew: 20 * time.Millisecond, Lease: time.Minute, Retry: time.Millisecond, Backoff: time.Millisecond,
		},
		TaskSlots: env.slots,
	}
	if env.slots > 0 {
		o.Queue = env.db
	}
	if env.files != nil {
		o.Files, o.FileStore = fakeFileContent{fakeFiles: env.files}, fakeFileStore{fakeFiles: env.files}
	}
	for _, c := range change {
		c(&o)
	}
	s := &server{env: env, Engine: run.New(o)}
	if err := s.Start(env.t.Context()); err != nil {
		env.t.Fatal(err)
	}
	env.t.Cleanup(func() {
		s.crash()
		log.Close()
	})
	return s
}

// crash stops the server immediately. It abandons its runs.
func (s *server) crash() {
	s.once.Do(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := s.Close(ctx); err != nil {
			s.env.t.Error(err)
		}
	})
}

func (s *server) turn(session, text string) (*core.Run, error) {
	return s.turnWith(session, sdk.Part{Text: text})
}

func (s *server) turnWith(session string, parts ...sdk.Part) (*core.Run, error) {
	return s.StartTurn(s.env.t.Context(), nil, s.env.actor, core.Turn{
		Agent: s.env.agent, SessionID: session, Parts: parts, Stream: true,
	})
}

func (s *server) mustTurn(session, text string) *core.Run {
	s.env.t.Helper()
	r, err := s.turn(session, text)
	if err != nil {
		s.env.t.Fatal(err)
	}
	return r
}

// wait waits for the end of the run and returns the text of the answer, or the error.
func (s *server) wait(r *core.Run) string {
	s.env.t.Helper()
	ctx, cancel := context.WithTimeout(s.env.t.Context(), 20*time.Second)
	defer cancel()
	m, err := s.Wait(ctx, r)
	if err != nil {
		return err.Error()
	}
	return m.SDK().Text()
}

// watch returns the events of the run until its end, one line each. It omits the tokens that
// a restart made void.
func (s *server) watch(r *core.Run) string {
	s.env.t.Helper()
	return s.watchUntil(r, "")
}

// watchUntil does the same but stops after the first event whose line contains text.
func (s *server) watchUntil(r *core.Run, text string) string {
	s.env.t.Helper()
	ctx, cancel := context.WithTimeout(s.env.t.Context(), 20*time.Second)
	defer cancel()
	stream, err := s.Watch(ctx, s.env.actor, r.ID, 0)
	if err != nil {
		s.env.t.Fatal(err)
	}
	var lines []string
	for {
		list, err := stream.Next(ctx)
		if errors.Is(err, io.EOF) {
			return strings.Join(lines, "\n")
		}
		if err != nil {
			s.env.t.Fatalf("Next failed: %v, after\n%s", err, strings.Join(lines, "\n"))
		}
		for _, e := range list {
			line := summary(s.env.t, e.Data)
			if strings.HasPrefix(line, "restart") {
				lines = dropLastTokens(lines)
			}
			lines = append(lines, line)
			if text != "" && strings.Contains(line, text) {
				return strings.Join(lines, "\n")
			}
		}
	}
}

func dropLastTokens(lines []string) []string {
	for len(lines) > 0 && strings.HasPrefix(lines[len(lines)-1], "token") {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// summary returns an event as one line: its type and its main field.
func summary(t testing.TB, data json.RawMessage) string {
	t.Helper()
	var e struct {
		Type, Content, Name string
		IsError             bool  `json:"is_error"`
		DropAfter           int64 `json:"drop_after"`
		Attempt             int
		Metadata            struct {
			Status core.RunStatus
			Tokens int64 `json:"tokens_used"`
		}
		Error struct {
			Code, Message string
		}
	}
	if err := json.Unmarshal(data, &e); err != nil {
		// The content of a tool_result is an array.
		var tool struct{ Type, Name string }
		if err := json.Unmarshal(data, &tool); err != nil {
			t.Fatal(err)
		}
		return tool.Type + " " + tool.Name
	}
	switch e.Type {
	case "token":
		return "token " + e.Content
	case "tool_call":
		return "tool_call " + e.Name
	case "restart":
		return fmt.Sprintf("restart attempt %d drop after %d", e.Attempt, e.DropAfter)
	case "end":
		return fmt.Sprintf("end %s %d", e.Metadata.Status, e.Metadata.Tokens)
	case "error":
		return "error " + e.Error.Code + " " + e.Error.Message
	}
	return e.Type
}

// stored returns the run from the database.
func (env *testEnv) stored(r *core.Run) *core.Run {
	env.t.Helper()
	got, err := env.db.Run(env.t.Context(), env.actor, r.ID)
	if err != nil {
		env.t.Fatal(err)
	}
	return got
}

// history returns the messages of session s1, one line each.
func (env *testEnv) history() string {
	env.t.Helper()
	messages, _, err := env.db.Messages(env.t.Context(), core.MessageFilter{
		AgentID: env.agent.ID, UserID: env.actor.UserID, SessionID: "s1", Limit: 100,
	})
	if err != nil {
		env.t.Fatal(err)
	}
	var lines []string
	for _, m := range messages {
		lines = append(lines, string(m.Role)+": "+m.SDK().Text())
	}
	return strings.Join(lines, "\n")
}
