package pluginhost

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/core/internal/config"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
	"github.com/agentarea/agentarea/sdk/files"
	"github.com/agentarea/agentarea/sdk/llm"
	"github.com/agentarea/agentarea/sdk/mcptransport"
	"github.com/agentarea/agentarea/sdk/plugin"
)

// instance is one process of a plugin that is configured and takes calls.
type instance struct {
	block   *config.Block
	timing  Timing
	proc    *process
	client  *goplugin.Client
	conn    *grpc.ClientConn
	base    *plugin.Base
	readyAt time.Time

	description plugin.Description
	// warnings are the problems in its config that the plugin accepted.
	warnings []string
	// schema is the JSON Schema of an agent type's config. schemaError is an *unusableError if it does not compile.
	schema      json.RawMessage
	schemaError error
	// verification is the outcome of the last check of whether the plugin can work as configured.
	verification verification

	// One of runner, provider, backend and transport is set, according to the kind.
	runner    agent.Runner
	provider  llm.Provider
	backend   *files.Client
	transport *mcptransport.Client
	// calls and completions belong to the supervisor. They also count the calls
	// on earlier processes.
	calls       *inflight
	completions chan struct{}
	// logger is that of the supervisor.
	logger *slog.Logger
	// active counts the calls on this process, and interrupted those that ended after its exit.
	active, interrupted atomic.Int64
	// stopAfterCall stops a process that was started for one call. It is nil for the shared process.
	stopAfterCall func()
	// stopping reports whether the host has asked the plugin to stop.
	stopping atomic.Bool
	// probe requests an immediate health check.
	probe chan struct{}
}

// launch starts a supervisor's process, describes it and configures it. If that takes
// longer than Timing.Start or ctx ends, launch kills the process, which ends any call
// that hangs on it. The error is a *config.Error if plugins.hcl must be corrected.
func (h *Host) launch(ctx context.Context, sup *supervisor) (*instance, error) {
	ctx, cancel := context.WithTimeout(ctx, h.timing.Start)
	defer cancel()
	from := sup.source.Load()
	s := from.block
	bin, err := sup.openBinary(from)
	if err != nil {
		return nil, err
	}
	defer sup.closeUnlessVerified(bin)
	log := newPluginLog(atLevel(h.logger, s.LogLevel).With("plugin", s.Name()), s.Mask)
	i := &instance{
		block: s, timing: h.timing, calls: sup.calls, completions: sup.completions,
		logger: sup.logger, probe: make(chan struct{}, 1),
		proc: newProcess(s.Name(), h.starter, bin, s.Args, environment(s, cmp.Or(s.LogLevel, h.level)), log),
	}
	i.client = goplugin.NewClient(i.clientConfig(h.sockets.dir, h.observe(s)))
	cancelKill := context.AfterFunc(ctx, func() {
		i.proc.kill(fmt.Sprintf("killed because it was not ready within %s", h.timing.Start))
	})
	defer cancelKill()
	if err := i.prepare(ctx, h.dataDir(s)); err != nil {
		err = i.startError(err)
		i.proc.kill("killed because it failed to start")
		i.cleanUp()
		return nil, err
	}
	if !cancelKill() {
		err := i.startError(ctx.Err())
		i.cleanUp()
		return nil, err
	}
	i.readyAt = time.Now()
	sup.keepVerified(bin)
	if s.MaxMemory > 0 {
		go i.limitMemory()
	}
	return i, nil
}

func (i *instance) clientConfig(socketDir string, dial []grpc.DialOption) *goplugin.ClientConfig {
	return &goplugin.ClientConfig{
		HandshakeConfig:  plugin.Handshake,
		VersionedPlugins: map[int]goplugin.PluginSet{plugin.ProtocolVersion: plugin.Set(i.block.Kind)},
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		AutoMTLS:         i.block.AutoMTLS,
		SkipHostEnv:      true,
		StartTimeout:     i.timing.Handshake,
		GRPCDialOptions:  append(plugin.DialOptions(), dial...),
		UnixSocketConfig: &goplugin.UnixSocketConfig{TempDir: socketDir},
		SyncStdout:       i.proc.log.outputWriter("stdout"),
		SyncStderr:       i.proc.log.outputWriter("stderr"),
		Logger: hclog.New(&hclog.LoggerOptions{
			Name: "go-plugin", Output: i.proc.log.goPluginWriter(), Level: hclog.Warn, JSONFormat: true,
		}),
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, socketDir string) (runner.Runner, error) {
			i.proc.socketDir = socketDir
			i.proc.env = append(i.proc.env, cmd.Env...) // later values take precedence
			return i.proc, nil
		},
	}
}

func (i *instance) prepare(ctx context.Context, dataDir string) error {
	if err := i.connect(); err != nil {
		return err
	}
	var err error
	if i.description, err = i.base.Describe(ctx); err != nil {
		return fmt.Errorf("describe: %w", err)
	}
	if kind := i.description.Kind; kind != i.block.Kind {
		return i.block.Problem("kind", "Wrong kind", fmt.Sprintf("%s is a plugin of kind %s", i.block.Command, kind),
			fmt.Sprintf("write plugin %q %q", kind, i.block.Label))
	}
	block, err := i.base.ConfigSchema(ctx)
	if err != nil {
		return fmt.Errorf("config schema: %w", err)
	}
	configJSON, err := i.block.Decode(block)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		return fmt.Errorf("create the plugin's data directory: %w", err)
	}
	diags, err := i.base.Configure(ctx, configJSON, sdk.Env{Label: i.block.Label, DataDir: dataDir})
	if err != nil {
		return fmt.Errorf("configure: %w", err)
	}
	i.warnings = i.block.Warnings(diags)
	if err := i.block.Diagnostics(diags); err != nil {
		return err
	}
	return i.prepareKind(ctx)
}

func (i *instance) connect() error {
	if _, err := i.client.Start(); err != nil {
		return err
	}
	rpc, err := i.client.Client()
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	raw, err := rpc.Dispense(i.block.Kind)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	i.conn = raw.(*grpc.ClientConn)
	i.base = plugin.NewBase(i.conn)
	return nil
}

func (i *instance) prepareKind(ctx context.Context) error {
	switch i.block.Kind {
	case "llm":
		i.provider = llm.NewClient(i.conn)
	case files.Kind:
		i.backend = files.NewClient(i.conn)
	case mcptransport.Kind:
		i.transport = mcptransport.NewClient(i.conn)
	case "agent":
		return i.prepareAgent(ctx)
	}
	return nil
}

// prepareAgent reads the config schema of an agent type. A schema that does not compile but is valid JSON is kept, so
// that it is visible in the API.
func (i *instance) prepareAgent(ctx context.Context) error {
	client := agent.NewClient(i.conn)
	schema, err := client.Schema(ctx)
	var e *sdk.Error
	switch {
	case errors.As(err, &e) && e.Code == sdk.CodeInternal:
		return &unusableError{"it cannot return the config schema of the agent type: " + e.Message}
	case err != nil:
		return fmt.Errorf("agent schema: %w", err)
	}
	i.schemaError = compileSchema(schema)
	if !json.Valid(schema) {
		return i.schemaError
	}
	i.runner, i.schema = client, schema
	return nil
}

// startError adds to err how the process exited, if it did.
func (i *instance) startError(err error) error {
	var cerr *config.Error
	if errors.As(err, &cerr) {
		return err
	}
	select {
	case <-i.proc.exited:
	case <-time.After(outputDrainTimeout):
	}
	if i.proc.hasExited() {
		reason := i.proc.exitReason()
		if i.proc.exitedOnItsOwn() {
			return fmt.Errorf("it exited before it was ready (%s)%s", reason, i.stderrTail())
		}
		if reason != killedByGoPlugin {
			return fmt.Errorf("%s%s", reason, i.stderrTail())
		}
	}
	return fmt.Errorf("%w%s", err, i.stderrTail())
}

// stderrTail returns the last lines of stderr as the end of an error message.
func (i *instance) stderrTail() string {
	select {
	case <-i.proc.drained:
	case <-time.After(2 * outputDrainTimeout):
	}
	lines := i.proc.log.tailLines(5)
	if len(lines) == 0 {
		return ""
	}
	return "; last stderr: " + strings.Join(lines, " | ")
}

// exitError returns an error that describes how the process exited. Call it after the exit.
func (i *instance) exitError() error {
	return fmt.Errorf("%s%s", i.proc.exitReason(), i.stderrTail())
}

// probeNow requests an immediate health check, unless one is requested already.
func (i *instance) probeNow() {
	select {
	case i.probe <- struct{}{}:
	default:
	}
}

// checkHealth runs one health check. answered reports whether the plugin replied, and
// err is nil if it is healthy.
func (i *instance) checkHealth(ctx context.Context) (answered bool, err error) {
	err = i.base.Health(ctx)
	var e *sdk.Error
	return err == nil || errors.As(err, &e) && e.Code == sdk.CodeUnavailable, err
}

// stop stops the process gracefully, and kills it after Timing.Stop and Timing.Exit. It
// does both even if ctx has ended.
func (i *instance) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), i.timing.Stop)
	defer cancel()
	i.stopping.Store(true)
	err := i.base.Stop(ctx)
	i.proc.closeStdin()
	timer := time.AfterFunc(i.timing.Exit, func() { i.proc.kill("killed because it did not exit when asked to stop") })
	defer timer.Stop()
	i.cleanUp()
	return err
}

// cleanUp releases the resources of an instance. It waits for the process to exit and
// kills it if necessary.
func (i *instance) cleanUp() {
	i.client.Kill()
	if i.proc.socketDir != "" {
		_ = os.RemoveAll(i.proc.socketDir) // a leftover is removed at the next start
	}
}

// dataDir returns the directory in which a plugin stores its data.
func (h *Host) dataDir(s *config.Block) string {
	return filepath.Join(h.data, "plugins", s.Kind+"-"+s.Label)
}
