package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/agentarea/agentarea"
	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/config"
	"github.com/agentarea/agentarea/core/internal/pluginhost"
	"github.com/agentarea/agentarea/sdk"
)

// pluginCommands look after plugins without a running server.
type pluginCommands struct {
	List     pluginList     `cmd:"" help:"List the plugins of plugins.hcl and their programs."`
	Check    pluginCheck    `cmd:"" help:"Start and configure every plugin of plugins.hcl, and say what has to be mended."`
	Describe pluginDescribe `cmd:"" help:"Start a plugin's binary and print what it says of itself, as a stanza for plugins.hcl."`
	Test     pluginTest     `cmd:"" help:"Run the conformance kit against a plugin's binary, in whatever language it is written."`
	New      pluginNew      `cmd:"" help:"Write a small project of a plugin in Go that builds and passes its test at once."`
	Lock     pluginLock     `cmd:"" help:"Write each plugin's sha256 into plugins.hcl."`
}

// pluginsFile is the flag that commands share with serve.
type pluginsFile struct {
	Config string `default:"plugins.hcl" env:"AGENTAREA_CONFIG" help:"The plugins' file; the built-in default when there is no plugins.hcl." placeholder:"FILE"`
}

func (f *pluginsFile) load() (*config.Config, error) {
	return loadPlugins(f.Config, slog.New(slog.DiscardHandler))
}

// bareHost is a host that finds binaries as the server does.
func bareHost(dir string, stderr io.Writer) *pluginhost.Host {
	o := pluginhost.Options{DataDir: dir}
	if stderr != nil {
		o.Logger = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	return pluginhost.New(o)
}

type pluginList struct{ pluginsFile }

func (c *pluginList) run(stdout io.Writer) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	host := bareHost("", nil)
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "KIND\tLABEL\tENABLED\tPINNED\tPROGRAM")
	for _, s := range cfg.Stanzas {
		program := s.Command
		if s.Enabled {
			path, err := host.Find(s, cfg.PluginDirs)
			if err == nil {
				program = path
			} else {
				program += " (not found)"
			}
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", s.Kind, s.Label, yes(s.Enabled), yes(s.SHA256 != ""), program)
	}
	return table.Flush()
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

type pluginCheck struct{ pluginsFile }

// run starts the plugins with a data folder that is removed again.
func (c *pluginCheck) run(ctx context.Context, stdout, stderr io.Writer) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "agentarea-check-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	host := bareHost(dir, stderr)
	if err := host.Start(ctx, cfg); err != nil {
		return err
	}
	down := 0
	for _, p := range host.Plugins() {
		_, _ = fmt.Fprintf(stdout, "%-24s %-10s %s %s\n", p.Kind+"/"+p.Label, p.State, p.Name, p.Version)
		if p.State != core.PluginRunning && p.State != core.PluginDisabled {
			down++
			_, _ = fmt.Fprintf(stdout, "    %s\n", p.LastError)
		}
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err = host.Close(closing)
	if down > 0 {
		err = errors.Join(fmt.Errorf("%d plugins do not come up", down), err)
	}
	return err
}

type pluginDescribe struct {
	Binary string `arg:"" help:"The plugin's program." placeholder:"BINARY"`
}

func (c *pluginDescribe) run(ctx context.Context, stdout, stderr io.Writer) error {
	dir, err := os.MkdirTemp("", "agentarea-describe-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p, err := bareHost(dir, stderr).Inspect(ctx, c.Binary)
	if err != nil {
		return err
	}
	var out strings.Builder
	fmt.Fprintf(&out, "# %s %s: %s\n", p.Name, p.Version, p.Description.Description)
	if len(p.Capabilities) > 0 {
		fmt.Fprintf(&out, "# Capabilities: %s\n", strings.Join(p.Capabilities, ", "))
	}
	label := strings.TrimPrefix(p.Name, p.Kind+"-")
	fmt.Fprintf(&out, "plugin %q %q {\n  command = %q\n", p.Kind, label, filepath.Base(c.Binary))
	if len(p.Schema.Attributes)+len(p.Schema.Blocks) > 0 {
		out.WriteString("  config {\n")
		describeBlock(&out, p.Schema, "    ")
		out.WriteString("  }\n")
	}
	out.WriteString("}\n")
	_, err = io.WriteString(stdout, out.String())
	return err
}

// describeBlock writes a line for each attribute, as a comment unless it must be
// there.
func describeBlock(out *strings.Builder, b sdk.Block, indent string) {
	for _, a := range b.Attributes {
		value, prefix := a.Default, "# "
		if value == "" {
			value = exampleOf(a)
		}
		if a.Required {
			prefix = ""
		}
		fmt.Fprintf(out, "%s%s%s = %s   # %s", indent, prefix, a.Name, value, a.Type)
		if a.Description != "" {
			fmt.Fprintf(out, ": %s", a.Description)
		}
		out.WriteString("\n")
	}
	for _, n := range b.Blocks {
		fmt.Fprintf(out, "%s%s {   # %s\n", indent, n.Name, n.Description)
		describeBlock(out, n.Block, indent+"  ")
		fmt.Fprintf(out, "%s}\n", indent)
	}
}

// exampleOf is what may stand for a value that has no default.
func exampleOf(a sdk.Attribute) string {
	switch {
	case a.Secret && a.Type == "string":
		return fmt.Sprintf("env(%q)", strings.ToUpper(a.Name))
	case a.Type == "number":
		return "0"
	case a.Type == "bool":
		return "false"
	case strings.HasPrefix(a.Type, "list"):
		return "[]"
	case strings.HasPrefix(a.Type, "map"):
		return "{}"
	}
	return `""`
}

type pluginLock struct{ pluginsFile }

// run pins what is enabled, and what is disabled where its program is found.
func (c *pluginLock) run(stdout io.Writer) error {
	src, err := os.ReadFile(c.Config)
	if errors.Is(err, os.ErrNotExist) && c.Config == defaultConfig {
		src, err = agentarea.DefaultPlugins, nil
	}
	if err != nil {
		return fmt.Errorf("read the plugins' file: %w", err)
	}
	cfg, err := config.Parse(src, c.Config)
	if err != nil {
		return err
	}
	host := bareHost("", nil)
	pins := map[string]string{}
	for _, s := range cfg.Stanzas {
		if !s.Enabled {
			continue
		}
		path, err := host.Find(s, cfg.PluginDirs)
		if err != nil {
			return err
		}
		sum, err := pluginhost.Checksum(path)
		if err != nil {
			return err
		}
		if sum != s.SHA256 {
			pins[s.Name()] = sum
			_, _ = fmt.Fprintf(stdout, "%s  %s (%s)\n", sum, s.Name(), path)
		}
	}
	if len(pins) == 0 {
		_, err := fmt.Fprintln(stdout, "Every enabled plugin is pinned already.")
		return err
	}
	locked, err := config.Pin(src, c.Config, pins)
	if err != nil {
		return err
	}
	return replaceFile(c.Config, locked)
}

// replaceFile writes a file whole or not at all.
func replaceFile(path string, content []byte) error {
	mode := os.FileMode(0o644)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	next := path + ".new"
	if err := os.WriteFile(next, content, mode); err != nil {
		return fmt.Errorf("write the plugins' file: %w", err)
	}
	if err := os.Rename(next, path); err != nil {
		return errors.Join(fmt.Errorf("replace the plugins' file: %w", err), os.Remove(next))
	}
	return nil
}
