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

// callTimeout is the time that a plugin has to start, and to respond to a simple call.
const callTimeout = 30 * time.Second

// Command describes how to run a plugin.
type Command struct {
	// Path is the path of the program, and Args are its arguments.
	Path string   `json:"-"`
	Args []string `json:"args"`
	// Env contains environment variables in the form NAME=value. As with the server, the plugin inherits
	// only PATH, HOME and TMPDIR from the environment of the test.
	Env []string `json:"env"`
	// Config is the config block. It is any value whose JSON is an object, such as a map[string]any or a
	// json.RawMessage. Nil means an empty block.
	Config any `json:"config"`
	// BadConfig is a config that the plugin must reject with a path. The default is Config with a value of
	// a wrong type.
	BadConfig any `json:"bad_config"`
	// DataDir is the data directory of the plugin. The default is a temporary directory.
	DataDir string `json:"data_dir"`
	// Script contains what the checks of some kinds need to know about the plugin.
	Script
	// withoutTLS disables TLS.
	withoutTLS bool
}

// Script contains the inputs that make a plugin do what the checks need. If a field without a default is
// empty, the checks that need it are skipped.
type Script struct {
	// Model is the model of an llm plugin. The default is the first model of its list. Prompt is a prompt
	// with a short answer. The default is "Say hello."
	Model  string `json:"model"`
	Prompt string `json:"prompt"`
	// ToolPrompt makes the model call the tool plugintest_add at least once.
	ToolPrompt string `json:"tool_prompt"`
	// LimitedPrompt makes the provider report a rate limit. SlowPrompt leads to an answer that takes at
	// least 5 seconds.
	LimitedPrompt string `json:"limited_prompt"`
	SlowPrompt    string `json:"slow_prompt"`
	// AgentConfig is the config of an agent of the type. The default is {"model": "plugintest"}.
	AgentConfig any `json:"agent_config"`
	// Server is the config of an MCP server whose result for each request is the params of the request,
	// such as EchoMCP. A transport that runs programs does not need it.
	Server any `json:"server"`
}

// Plugin is a running plugin. It is configured, and runs until the test ends.
type Plugin struct {
	// Conn is the connection for the NewClient function of the kind's package.
	Conn *grpc.ClientConn
	// Description and Schema are the responses of Describe and ConfigSchema.
	Description plugin.Description
	Schema      sdk.Block

	cmd    *exec.Cmd
	client *goplugin.Client
}

// Start starts a plugin of a kind: "agent", "llm", "files" or "mcp". It fails the test immediately if the
// plugin does not start, has another kind, or rejects its config. If the test fails, the log of the
// plugin is shown.
func Start(tb testing.TB, kind string, c Command) *Plugin {
	tb.Helper()
	p := launch(tb, kind, c)
	ctx, cancel := context.WithTimeout(tb.Context(), callTimeout)
	defer cancel()
	base := plugin.NewBase(p.Conn)
	var err error
	if p.Description, err = base.Describe(ctx); err != nil {
		tb.Fatalf("Describe: %v", err)
	}
	if d := p.Description; d.Kind != kind || d.Name == "" || d.Version == "" {
		tb.Fatalf("Describe: kind is %q, name %q, version %q; want kind %q and no empty field",
			d.Kind, d.Name, d.Version, kind)
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
			tb.Logf("Configure returned a warning: %v", &d.ConfigError)
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

// launch starts the process and connects to it.
func launch(tb testing.TB, kind string, c Command) *Plugin {
	tb.Helper()
	// The path of tb.TempDir may be too long for a socket.
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
		AutoMTLS:         !c.withoutTLS, SkipHostEnv: true, GRPCDialOptions: plugin.DialOptions(),
		StartTimeout:     callTimeout,
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

// Base returns the client of the Base service.
func (p *Plugin) Base() *plugin.Base { return plugin.NewBase(p.Conn) }

// Kill kills the process and returns when it has exited.
func (p *Plugin) Kill() {
	_ = p.cmd.Process.Kill()
	p.client.Kill()
}

// Pid returns the ID of the process.
func (p *Plugin) Pid() int { return p.cmd.Process.Pid }
