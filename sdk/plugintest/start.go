package plugintest

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/plugin"
)

// patience is how long a plugin may take to start, and to answer what takes no
// work.
const patience = 30 * time.Second

// Command says how to run a plugin.
type Command struct {
	// Path is the binary's, and Args are its arguments.
	Path string   `json:"-"`
	Args []string `json:"args"`
	// Env has lines NAME=value. As under the server, nothing else of the test's
	// environment reaches the plugin, but for PATH, HOME and TMPDIR.
	Env []string `json:"env"`
	// Config becomes the config block: anything that encodes to a JSON object,
	// such as a map[string]any or a json.RawMessage. nil is an empty block.
	Config any `json:"config"`
	// BadConfig is a config that the plugin must refuse, by a path. Without one,
	// it is Config with a value of a wrong type.
	BadConfig any `json:"bad_config"`
	// DataDir is a folder that the plugin may keep its data in; a temporary one
	// when it is empty.
	DataDir string `json:"data_dir"`
	// Script says what the checks of some kinds can't know by themselves.
	Script
	// plain goes without TLS.
	plain bool
}

// Script is what brings a plugin to do what is to be checked. What has no
// default is not checked when it is left out, and the check says so.
type Script struct {
	// Model is the one of an llm plugin that is asked; the first of its list when
	// it is empty. Prompt gets a short answer: "Say hello."
	Model  string `json:"model"`
	Prompt string `json:"prompt"`
	// ToolPrompt brings the model to call the tool plugintest_add, once or more.
	ToolPrompt string `json:"tool_prompt"`
	// LimitedPrompt is answered as by a provider that limits the rate, and
	// SlowPrompt by a stream that lasts for 5 s or longer.
	LimitedPrompt string `json:"limited_prompt"`
	SlowPrompt    string `json:"slow_prompt"`
	// AgentConfig is the config of an agent of the type: {"model": "plugintest"}.
	AgentConfig any `json:"agent_config"`
	// Server is the config of an MCP server that answers each request with its
	// params as the result, as EchoMCP does over HTTP. A transport that runs
	// programs needs none.
	Server any `json:"server"`
}

// Plugin is one that runs, configured, until the test ends.
type Plugin struct {
	// Conn is for the NewClient of the kind's package.
	Conn *grpc.ClientConn
	// Description and Schema are what the plugin said of itself.
	Description plugin.Description
	Schema      sdk.Block

	cmd    *exec.Cmd
	client *goplugin.Client
}

// Start runs a plugin of a kind: "agent", "llm", "files", "mcp". The test fails at once
// when the plugin does not start, is of another kind, or refuses its config.
// What the plugin logs is shown when the test fails.
func Start(tb testing.TB, kind string, c Command) *Plugin {
	tb.Helper()
	p := launch(tb, kind, c)
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	base := plugin.NewBase(p.Conn)
	var err error
	if p.Description, err = base.Describe(ctx); err != nil {
		tb.Fatalf("Describe: %v", err)
	}
	if d := p.Description; d.Kind != kind || d.Name == "" || d.Version == "" {
		tb.Fatalf("Describe: kind is %q, name %q, version %q; want kind %q, and none empty", d.Kind, d.Name, d.Version, kind)
	}
	if p.Schema, err = base.ConfigSchema(ctx); err != nil {
		tb.Fatalf("ConfigSchema: %v", err)
	}
	if err := p.configure(ctx, c, base, tb); err != nil {
		tb.Fatalf("Configure: %v", err)
	}
	return p
}

func (p *Plugin) configure(ctx context.Context, c Command, base *plugin.Base, tb testing.TB) error {
	tb.Helper()
	config, err := c.configJSON()
	if err != nil {
		return err
	}
	dir := c.DataDir
	if dir == "" {
		dir = tb.TempDir()
	}
	diagnostics, err := base.Configure(ctx, config, sdk.Env{Label: "plugintest", DataDir: dir})
	for _, d := range diagnostics {
		if d.Warning {
			tb.Logf("Configure warns: %v", &d.ConfigError)
			continue
		}
		return &d.ConfigError
	}
	return err
}

func (c *Command) configJSON() ([]byte, error) {
	if c.Config == nil {
		return []byte("{}"), nil
	}
	return json.Marshal(c.Config)
}

// launch is Start up to the handshake.
func launch(tb testing.TB, kind string, c Command) *Plugin {
	tb.Helper()
	// Not tb.TempDir: its path may be too long for a socket.
	sockets, err := os.MkdirTemp("", "plugintest")
	if err != nil {
		tb.Fatal(err)
	}
	log := &tail{}
	cmd := exec.CommandContext(context.WithoutCancel(tb.Context()), c.Path, c.Args...)
	cmd.Env = c.environment()
	client := goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig: plugin.Handshake, Plugins: plugin.Set(kind), Cmd: cmd,
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		AutoMTLS:         !c.plain, SkipHostEnv: true, GRPCDialOptions: plugin.DialOptions(),
		StartTimeout:     patience,
		UnixSocketConfig: &goplugin.UnixSocketConfig{TempDir: sockets},
		Logger:           hclog.New(&hclog.LoggerOptions{Output: log, Level: hclog.Debug}),
	})
	tb.Cleanup(func() {
		client.Kill()
		_ = os.RemoveAll(sockets)
		if tb.Failed() {
			tb.Logf("the log of %s:\n%s", c.Path, log)
		}
	})
	protocol, err := client.Client()
	if err != nil {
		tb.Fatalf("start: %v", err)
	}
	cc, err := protocol.Dispense(kind)
	if err != nil {
		tb.Fatalf("connect: %v", err)
	}
	return &Plugin{Conn: cc.(*grpc.ClientConn), cmd: cmd, client: client}
}

func (c *Command) environment() []string {
	env := []string{"AGENTAREA_LOG_LEVEL=debug"}
	for _, name := range []string{"PATH", "HOME", "TMPDIR"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return append(env, c.Env...)
}

// Base speaks the calls that all kinds answer.
func (p *Plugin) Base() *plugin.Base { return plugin.NewBase(p.Conn) }

// Kill ends the process as kill -9 does, and returns when it is gone.
func (p *Plugin) Kill() {
	_ = p.cmd.Process.Kill()
	p.client.Kill()
}

// Pid is the process's.
func (p *Plugin) Pid() int { return p.cmd.Process.Pid }
