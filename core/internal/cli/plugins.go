package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize/english"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/app"
	"github.com/agentarea/agentarea/core/internal/config"
	"github.com/agentarea/agentarea/core/internal/pluginhost"
)

// pluginsCommands are the agentarea plugins commands. Only reload needs a running server.
type pluginsCommands struct {
	List     pluginsListCommand     `cmd:"" help:"List the plugins of plugins.hcl and their programs."`
	Check    pluginsCheckCommand    `cmd:"" help:"Start and configure every plugin of plugins.hcl, check that it can work, and report the errors."`
	Reload   pluginsReloadCommand   `cmd:"" help:"Make a running server reload plugins.hcl, and report the changes."`
	Describe pluginsDescribeCommand `cmd:"" help:"Start a plugin program and print its description and its settings as a block for plugins.hcl."`
	Test     pluginsTestCommand     `cmd:"" help:"Run the conformance checks against a plugin program, in any language."`
	New      pluginsNewCommand      `cmd:"" help:"Create a small Go project of a plugin that builds and passes its tests."`
	Lock     pluginsLockCommand     `cmd:"" help:"Write the sha256 of every enabled plugin into plugins.hcl."`
}

// configFlags are the flags of a command that reads plugins.hcl. serve has the same flags.
type configFlags struct {
	Config string `default:"plugins.hcl" env:"AGENTAREA_CONFIG" help:"The plugin configuration. If there is no plugins.hcl, the built-in default is used." placeholder:"FILE"`
}

func (f *configFlags) load() (*config.Config, error) {
	return app.LoadPlugins(f.Config, slog.New(slog.DiscardHandler))
}

// newHost returns a host that finds programs as the server does. It keeps the plugins' data in dir and
// logs warnings to stderr, unless stderr is nil.
func newHost(dir string, stderr io.Writer) *pluginhost.Host {
	o := pluginhost.Options{DataDir: dir}
	if stderr != nil {
		o.Logger = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	return pluginhost.New(o)
}

// pluginsListCommand is agentarea plugins list.
type pluginsListCommand struct{ configFlags }

// Run prints a table of the plugins.
func (c *pluginsListCommand) Run(out *output) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	host := newHost("", nil)
	table := tabwriter.NewWriter(out.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "KIND\tLABEL\tENABLED\tPINNED\tPROGRAM")
	for _, s := range cfg.Blocks {
		program := s.Command
		if s.Enabled {
			path, err := host.Find(s, cfg.PluginDirs)
			if err == nil {
				program = path
			} else {
				program += " (not found)"
			}
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", s.Kind, s.Label, yesNo(s.Enabled), yesNo(s.SHA256 != ""), program)
	}
	return table.Flush()
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// pluginsCheckCommand is agentarea plugins check.
type pluginsCheckCommand struct{ configFlags }

// Run starts the plugins with a temporary data directory and prints their states. It returns an error if
// one of them fails to start or cannot work as configured.
func (c *pluginsCheckCommand) Run(ctx context.Context, out *output) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "agentarea-check-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	host := newHost(dir, out.stderr)
	if err := host.Start(ctx, cfg); err != nil {
		return err
	}
	unusable := host.Verify(ctx)
	failed := 0
	for _, p := range host.Plugins() {
		_, _ = fmt.Fprintf(out.stdout, "%-24s %-10s %s %s\n", p.Kind+"/"+p.Label, p.State, p.Name, p.Version)
		if p.State != core.PluginRunning && p.State != core.PluginDisabled {
			failed++
		} else if !p.Unhealthy {
			continue
		}
		_, _ = fmt.Fprintf(out.stdout, "    %s\n", p.LastError)
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err = errors.Join(unusable, host.Close(closing))
	if failed > 0 {
		err = errors.Join(fmt.Errorf("%s failed to start", english.Plural(failed, "plugin", "")), err)
	}
	return err
}
