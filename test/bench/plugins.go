package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
	"github.com/agentarea/agentarea/sdk/llm"
	"github.com/agentarea/agentarea/sdk/plugin"
)

// plugins measures the cost of the plugin boundary, and compares it with plain gRPC over a unix socket.
func plugins(ctx context.Context, s *settings) error {
	if err := pluginCalls(ctx, s); err != nil {
		return err
	}
	return pluginLives(ctx, s)
}

// dialPlugin starts a program as the server does, through go-plugin with mutual TLS.
func dialPlugin(s *settings, kind, path string, args ...string) (*grpc.ClientConn, func(), error) {
	cmd := exec.Command(path, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir}
	client := goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig: plugin.Handshake, Plugins: plugin.Set(kind), Cmd: cmd,
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		AutoMTLS:         true, SkipHostEnv: true, GRPCDialOptions: plugin.DialOptions(),
		UnixSocketConfig: &goplugin.UnixSocketConfig{TempDir: s.dir},
		Logger:           hclog.NewNullLogger(),
	})
	protocol, err := client.Client()
	if err != nil {
		client.Kill()
		return nil, nil, err
	}
	raw, err := protocol.Dispense(kind)
	if err != nil {
		client.Kill()
		return nil, nil, err
	}
	return raw.(*grpc.ClientConn), client.Kill, nil
}

// peers are the three compared processes.
type peers struct {
	plain, llm, agent *grpc.ClientConn
	closers           []func()
}

func (p *peers) close() {
	for _, f := range p.closers {
		f()
	}
}

func startPeers(ctx context.Context, s *settings) (_ *peers, err error) {
	p := &peers{}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	socket := filepath.Join(s.dir, "peer.sock")
	proc, err := start(s.dir, "peer", nil, self, asPeer, socket)
	if err != nil {
		return nil, err
	}
	p.closers = append(p.closers, proc.stop)
	if _, err := proc.firstLine(ctx); err != nil {
		return nil, err
	}
	if p.plain, err = grpc.NewClient("unix:"+socket,
		append(plugin.DialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()))...); err != nil {
		return nil, err
	}
	p.closers = append(p.closers, func() { _ = p.plain.Close() })
	for _, k := range []struct {
		kind, word string
		into       **grpc.ClientConn
	}{{"llm", asLLM, &p.llm}, {"agent", asAgent, &p.agent}} {
		conn, kill, err := dialPlugin(s, k.kind, self, k.word)
		if err != nil {
			return nil, err
		}
		*k.into = conn
		p.closers = append(p.closers, kill)
	}
	return p, nil
}

// handle answers host calls: tool calls itself, completions with the provider.
type handle struct{ provider llm.Provider }

var toolAnswer = &agent.Result{ToolResult: &sdk.ToolResult{Parts: []sdk.Part{{Text: "5"}}}}

// Handle implements agent.Handler.
func (h handle) Handle(ctx context.Context, call *agent.Call) (*agent.Result, error) {
	if call.Complete == nil {
		return toolAnswer, nil
	}
	if _, err := h.provider.Chat(ctx, tokensRequest("1", 1, call.Complete.Messages...), &tally{}); err != nil {
		return nil, err
	}
	return &agent.Result{Answer: &agent.Answer{Message: sdk.Text(sdk.RoleAssistant, "x")}}, nil
}

// tally counts the tokens of a stream.
type tally struct{ tokens int }

func (c *tally) Send(llm.Delta) error {
	c.tokens++
	return nil
}

func tokensRequest(size string, n int64, messages ...sdk.Message) *llm.Request {
	return &llm.Request{Model: size, Messages: messages, Stream: true, Parameters: llm.Parameters{MaxTokens: &n}}
}

// pluginCalls measures calls and tokens in five rounds, in turns. The result is the fastest round,
// because other work on the machine slows rounds down.
func pluginCalls(ctx context.Context, s *settings) error {
	p, err := startPeers(ctx, s)
	if err != nil {
		return err
	}
	defer p.close()
	calls, tokens := s.scaled(20_000), int64(s.scaled(500_000))
	unary := func(cc *grpc.ClientConn) func() error {
		return func() error {
			base := plugin.NewBase(cc)
			for range calls {
				if err := base.Health(ctx); err != nil {
					return err
				}
			}
			return nil
		}
	}
	run := func(config string) func() error {
		return func() error {
			_, err := agent.NewClient(p.agent).Run(ctx, &agent.Run{
				ID: "run-1", Seed: uint64(calls), Config: []byte(config), Input: sdk.Text(sdk.RoleUser, "Hello?"),
			}, handle{llm.NewClient(p.llm)})
			return err
		}
	}
	stream := func(cc *grpc.ClientConn, size string) func() error {
		return func() error {
			c := &tally{}
			_, err := llm.NewClient(cc).Chat(ctx, tokensRequest(size, tokens, sdk.Text(sdk.RoleUser, "Hello?")), c)
			if err == nil && int64(c.tokens) != tokens {
				err = fmt.Errorf("got %d tokens, want %d", c.tokens, tokens)
			}
			return err
		}
	}
	rows := []struct {
		name string
		of   int64
		do   func() error
		base int
		aim  string
		best time.Duration
	}{
		{name: "a call, plain gRPC", of: int64(calls), do: unary(p.plain), base: -1},
		{name: "a call of a plugin (mutual TLS)", of: int64(calls), do: unary(p.llm), base: 0, aim: "1.5 x"},
		{name: "a host call of a run", of: int64(calls), do: run(`{}`), base: 0, aim: "1.5 x"},
		{name: "a completion through both hops", of: int64(calls), do: run(`{"complete":true}`), base: 0},
		{name: "a token, 1 a message, plain gRPC", of: tokens, do: stream(p.plain, "1"), base: -1},
		{name: "a token, 1 a message, of a plugin", of: tokens, do: stream(p.llm, "1"), base: 4, aim: "5 µs"},
		{name: "a token, 16 a message, plain gRPC", of: tokens, do: stream(p.plain, "16"), base: -1},
		{name: "a token, 16 a message, of a plugin", of: tokens, do: stream(p.llm, "16"), base: 6, aim: "5 µs"},
	}
	for round := range rounds {
		for i := range rows {
			begun := time.Now()
			if err := rows[i].do(); err != nil {
				return fmt.Errorf("%s: %w", rows[i].name, err)
			}
			if took := time.Since(begun); round == 0 || took < rows[i].best {
				rows[i].best = took
			}
		}
	}
	t := newTable("The plugin boundary, beside plain gRPC over a unix socket", "what", "time", "of plain gRPC", "aim")
	for _, r := range rows {
		each := float64(r.best) / float64(r.of) / float64(time.Microsecond)
		ratio := ""
		if r.base >= 0 {
			b := rows[r.base]
			ratio = fmt.Sprintf("%.2f x", each/(float64(b.best)/float64(b.of)/float64(time.Microsecond)))
		}
		t.row(r.name, fmt.Sprintf("%.2f µs", each), ratio, r.aim)
	}
	t.print()
	return nil
}

// pluginState is a plugin in the reply of GET /v1/plugins.
type pluginState struct {
	Label string
	State string
	PID   int
}

const idlePlugins = 10

// pluginLives measures starts, restarts and memory of plugins of a real server.
func pluginLives(ctx context.Context, s *settings) error {
	echo := filepath.Join(filepath.Dir(s.server), "llm-echo")
	var starts []time.Duration
	for range s.scaled(25) {
		begun := time.Now()
		conn, kill, err := dialPlugin(s, "llm", echo)
		if err != nil {
			return err
		}
		base := plugin.NewBase(conn)
		_, err = base.Describe(ctx)
		if err == nil {
			_, err = base.ConfigSchema(ctx)
		}
		if err == nil {
			_, err = base.Configure(ctx, []byte("{}"), sdk.Env{Label: "bench", DataDir: s.dir})
		}
		starts = append(starts, time.Since(begun))
		kill()
		if err != nil {
			return err
		}
	}
	r := &rig{clients: map[string][]*client{}}
	ctx, r.cancel = context.WithCancel(ctx)
	defer r.close()
	var hcl strings.Builder
	hcl.WriteString("plugin \"agent\" \"chat\" {\n  command = \"agent-chat\"\n}\n")
	for i := range idlePlugins {
		fmt.Fprintf(&hcl, "plugin \"llm\" \"echo%d\" {\n  command = \"llm-echo\"\n  models = [\"gpt-*\"]\n}\n", i)
	}
	dir, err := os.MkdirTemp(s.dir, "plugins-")
	if err != nil {
		return err
	}
	binary, err := filepath.Abs(s.server)
	if err != nil {
		return err
	}
	if err := r.startServer(ctx, dir, binary, []byte(hcl.String())); err != nil {
		return err
	}
	memory, err := r.idleMemory(ctx)
	if err != nil {
		return err
	}
	var restarts []time.Duration
	for i := range idlePlugins { // each once: one that ends again and again is started later, and then not at all
		took, err := r.killProvider(ctx, fmt.Sprint("echo", i))
		if err != nil {
			return err
		}
		restarts = append(restarts, took)
	}
	t := newTable("A plugin's life (llm-echo)", "what", "p50", "most", "aim")
	t.row("start to ready", ms(percentile(starts, 0.5)), ms(percentile(starts, 1)), "")
	t.row("kill -9 to the next answer of a turn", ms(percentile(restarts, 0.5)), ms(percentile(restarts, 1)), "150 ms")
	t.row(fmt.Sprintf("memory of %d idle ones (PSS)", idlePlugins), mib(memory), mib(memory/idlePlugins)+" each", "")
	t.print()
	return nil
}

func (r *rig) plugins(ctx context.Context) ([]pluginState, error) {
	var list struct{ Plugins []pluginState }
	err := r.server.call(ctx, http.MethodGet, "/v1/plugins", nil, &list)
	return list.Plugins, err
}

func (r *rig) idleMemory(ctx context.Context) (int64, error) {
	list, err := r.plugins(ctx)
	if err != nil {
		return 0, err
	}
	var total int64
	for _, p := range list {
		if !strings.HasPrefix(p.Label, "echo") {
			continue
		}
		u, err := readUsage(p.PID)
		if err != nil {
			return 0, err
		}
		total += u.pss
	}
	return total, nil
}

// killProvider kills a provider, and returns the time until a turn with its model is answered.
func (r *rig) killProvider(ctx context.Context, label string) (time.Duration, error) {
	var agent struct{ ID string }
	if err := r.server.call(ctx, http.MethodPost, "/v1/agents", map[string]any{
		"name": label, "type": "chat", "config": map[string]any{"model": label + "/echo"},
	}, &agent); err != nil {
		return 0, err
	}
	list, err := r.plugins(ctx)
	if err != nil {
		return 0, err
	}
	for _, p := range list {
		if p.Label != label {
			continue
		}
		if p.PID == 0 {
			return 0, errors.New("the provider is not up: " + p.State)
		}
		begun := time.Now()
		if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil {
			return 0, err
		}
		err := r.server.call(ctx, http.MethodPost, "/v1/agents/"+agent.ID+"/chat", map[string]any{"message": "Hello?"}, nil)
		return time.Since(begun), err
	}
	return 0, errors.New("there is no " + label)
}
