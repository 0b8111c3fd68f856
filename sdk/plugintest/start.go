package plugintest

import (
	"context"
	"encoding/json"
	"fmt"
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
	// UnicodePrompt makes the model answer with text that is not ASCII. The default asks the model to repeat some.
	UnicodePrompt string `json:"unicode_prompt"`
	// ToolPrompt makes the model call the tool plugintest_add at least once, and ParallelToolPrompt at least twice
	// in one answer.
	ToolPrompt         string `json:"tool_prompt"`
	ParallelToolPrompt string `json:"parallel_tool_prompt"`
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
	// Conn is the connection for the NewClient function of the kind's package. A call without a deadline gets one:
	// 30 seconds, or 5 minutes for a stream.
	Conn *grpc.ClientConn
	// Description and Schema are the responses of Describe and ConfigSchema.
	Description plugin.Description
	Schema      sdk.Block

	cmd    *exec.Cmd
	client *goplugin.Client
}

// Start starts a plugin of a kind: "agent", "llm", "files" or "mcp". It fails the test immediately if the
// plugin does not start in the time that the server allows, has another kind, or rejects its config. If the
// test fails, the log of the plugin is shown.
func Start(tb testing.TB, kind string, c Command) *Plugin {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), startTime)
	defer cancel()
	p := launch(tb, kind, c)
	err := p.prepare(ctx, tb, kind, c)
	if codeOf(err) == sdk.CodeTimeout {
		tb.Fatalf("%v: the plugin was not configured within %s after its start. The server kills such a plugin. Do slow work "+
			"in the background. See the conformance kit in docs/plugins.md.", err, startTime)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// prepare calls the methods that the server calls before any other.
func (p *Plugin) prepare(ctx context.Context, tb testing.TB, kind string, c Command) error {
	tb.Helper()
	base := plugin.NewBase(p.Conn)
	var err error
	if p.Description, err = base.Describe(ctx); err != nil {
		return fmt.Errorf("call of Describe: %w", err)
	}
	if d := p.Description; d.Kind != kind || d.Name == "" || d.Version == "" {
		return fmt.Errorf("the response of Describe: kind is %q, name %q, version %q; want kind %q and no empty field",
			d.Kind, d.Name, d.Version, kind)
	}
	if p.Schema, err = base.ConfigSchema(ctx); err != nil {
		return fmt.Errorf("call of ConfigSchema: %w", err)
	}
	if err := p.configure(ctx, c, base, tb); err != nil {
		return fmt.Errorf("call of Configure: %w", err)
	}
	return nil
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
		AutoMTLS:         !c.withoutTLS, SkipHostEnv: true,
		GRPCDialOptions:  append(plugin.DialOptions(), withDeadlines()...),
		StartTimeout:     handshakeTime,
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
	began := time.Now()
	protocol, err := client.Client()
	if err != nil && time.Since(began) >= handshakeTime {
		tb.Fatalf("start: the plugin did not print its handshake line within %s, the time that the server waits: %v. "+
			"Print it first, and do the work afterwards. See the conformance kit in docs/plugins.md.", handshakeTime, err)
	}
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
