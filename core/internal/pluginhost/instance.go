package pluginhost

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// instance is one life of a plugin: a process that is configured and serves.
type instance struct {
	stanza  *config.Block
	timing  Timing
	proc    *process
	client  *goplugin.Client
	conn    *grpc.ClientConn
	base    *plugin.Base
	readyAt time.Time

	description plugin.Description
	// warnings are what the plugin says of its config without refusing it.
	warnings []string
	// schema is that of an agent's config.
	schema json.RawMessage

	// runner, provider, backend and transport are set for their kinds.
	runner    agent.Runner
	provider  llm.Provider
	backend   *files.Client
	transport *mcptransport.Client
	// calls and completions are those of the supervisor, on this process or an
	// earlier one.
	calls       *inflight
	completions chan struct{}
	// stopping says that the host has asked it to stop.
	stopping atomic.Bool
	// suspect asks for a health check now.
	suspect chan struct{}
}

// launch starts a supervisor's process and makes it ready: start, describe, schema,
// configure. When its time is over, or ctx is, the process is killed, which
// ends whatever call hangs on it. The error is a *config.Error when
// plugins.hcl must be mended.
func (h *Host) launch(ctx context.Context, sup *supervisor) (*instance, error) {
	ctx, cancel := context.WithTimeout(ctx, h.timing.Start)
	defer cancel()
	from := sup.source.Load()
	s := from.stanza
	bin, err := openBinary(s, from.dirs)
	if err != nil {
		return nil, err
	}
	defer bin.close()
	sup.set(func() { sup.program = bin.program })
	log := newPluginLog(h.logger.With("plugin", s.Name()), s.Mask)
	i := &instance{
		stanza: s, timing: h.timing, calls: sup.calls, completions: sup.completions, suspect: make(chan struct{}, 1),
		proc: newProcess(s.Name(), h.starter, bin, s.Args, environment(s, h.level), log),
	}
	i.client = goplugin.NewClient(i.clientConfig(h.sockets.dir, h.observe(s)))
	unhang := context.AfterFunc(ctx, func() {
		i.proc.kill(fmt.Sprintf("it was not ready within %s", h.timing.Start))
	})
	defer unhang()
	if err := i.prepare(ctx, h.dataDir(s)); err != nil {
		err = i.whyNotReady(err)
		i.proc.kill("it did not get ready")
		i.cleanUp()
		return nil, err
	}
	if !unhang() {
		err := i.whyNotReady(ctx.Err())
		i.cleanUp()
		return nil, err
	}
	i.readyAt = time.Now()
	return i, nil
}

func (i *instance) clientConfig(socketDir string, dial []grpc.DialOption) *goplugin.ClientConfig {
	return &goplugin.ClientConfig{
		HandshakeConfig:  plugin.Handshake,
		VersionedPlugins: map[int]goplugin.PluginSet{plugin.ProtocolVersion: plugin.Set(i.stanza.Kind)},
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		AutoMTLS:         i.stanza.AutoMTLS,
		SkipHostEnv:      true,
		StartTimeout:     i.timing.Handshake,
		GRPCDialOptions:  append(plugin.DialOptions(), dial...),
		UnixSocketConfig: &goplugin.UnixSocketConfig{TempDir: socketDir},
		SyncStdout:       i.proc.log.synced("stdout"),
		SyncStderr:       i.proc.log.synced("stderr"),
		Logger: hclog.New(&hclog.LoggerOptions{
			Name: "go-plugin", Output: i.proc.log.chatter(), Level: hclog.Warn,
		}),
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, socketDir string) (runner.Runner, error) {
			i.proc.socketDir = socketDir
			i.proc.env = append(i.proc.env, cmd.Env...) // the later ones win
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
	if kind := i.description.Kind; kind != i.stanza.Kind {
		return i.stanza.Problem("kind", "Wrong kind", fmt.Sprintf("%s is a plugin of kind %s", i.stanza.Command, kind),
			fmt.Sprintf("write plugin %q %q", kind, i.stanza.Label))
	}
	block, err := i.base.ConfigSchema(ctx)
	if err != nil {
		return fmt.Errorf("config schema: %w", err)
	}
	configJSON, err := i.stanza.Decode(block)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		return fmt.Errorf("make the plugin's data folder: %w", err)
	}
	diags, err := i.base.Configure(ctx, configJSON, sdk.Env{Label: i.stanza.Label, DataDir: dataDir})
	if err != nil {
		return fmt.Errorf("configure: %w", err)
	}
	i.warnings = i.stanza.Warnings(diags)
	if err := i.stanza.Diagnostics(diags); err != nil {
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
	raw, err := rpc.Dispense(i.stanza.Kind)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	i.conn = raw.(*grpc.ClientConn)
	i.base = plugin.NewBase(i.conn)
	return nil
}

func (i *instance) prepareKind(ctx context.Context) error {
	switch i.stanza.Kind {
	case "llm":
		i.provider = llm.NewClient(i.conn)
	case files.Kind:
		i.backend = files.NewClient(i.conn)
	case mcptransport.Kind:
		i.transport = mcptransport.NewClient(i.conn)
	case "agent":
		client := agent.NewClient(i.conn)
		schema, err := client.Schema(ctx)
		if err != nil {
			return fmt.Errorf("agent schema: %w", err)
		}
		if !json.Valid(schema) {
			return errors.New("agent schema: it is no JSON")
		}
		i.schema = schema
		i.runner = client
	}
	return nil
}

// whyNotReady adds to err how the process ended, if it did.
func (i *instance) whyNotReady(err error) error {
	var cerr *config.Error
	if errors.As(err, &cerr) {
		return err
	}
	select {
	case <-i.proc.exited:
	case <-time.After(drainTime):
	}
	if i.proc.ended() {
		reason := i.proc.exit()
		if i.proc.exitedByItself() {
			return fmt.Errorf("it ended before it was ready (%s)%s", reason, i.lastWords())
		}
		if reason != byGoPlugin {
			return fmt.Errorf("%s%s", reason, i.lastWords())
		}
	}
	return fmt.Errorf("%w%s", err, i.lastWords())
}

// lastWords are the last lines of stderr, for the end of a message.
func (i *instance) lastWords() string {
	select {
	case <-i.proc.drained:
	case <-time.After(2 * drainTime):
	}
	lines := i.proc.log.last(5)
	if len(lines) == 0 {
		return ""
	}
	return "; its last lines: " + strings.Join(lines, " | ")
}

// exitError says how an instance's process ended. Call it when it has.
func (i *instance) exitError() error {
	return fmt.Errorf("%s%s", i.proc.exit(), i.lastWords())
}

// health asks the plugin whether it is fit. answered is true when it said yes or no.
func (i *instance) health(ctx context.Context) (answered bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, i.timing.HealthTimeout)
	defer cancel()
	err = i.base.Health(ctx)
	var e *sdk.Error
	return err == nil || errors.As(err, &e) && e.Code == sdk.CodeUnavailable, err
}

// stop ends the process in good order, and by force when it takes too long. It
// does so when ctx has ended, too.
func (i *instance) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), i.timing.Stop)
	defer cancel()
	i.stopping.Store(true)
	err := i.base.Stop(ctx)
	i.proc.letGo()
	timer := time.AfterFunc(i.timing.Exit, func() { i.proc.kill("it did not end when it was asked to") })
	defer timer.Stop()
	i.cleanUp()
	return err
}

// cleanUp frees what an instance holds. It waits for the end of the process,
// which Kill brings about when nothing else has.
func (i *instance) cleanUp() {
	i.client.Kill()
	if i.proc.socketDir != "" {
		_ = os.RemoveAll(i.proc.socketDir) // swept at the next start
	}
}

// dataDir is where a stanza's plugin may keep its data.
func (h *Host) dataDir(s *config.Block) string {
	return filepath.Join(h.data, "plugins", s.Kind+"-"+s.Label)
}
