package cli

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// pluginsReloadCommand is agentarea plugins reload.
type pluginsReloadCommand struct {
	DryRun bool `name:"dry-run" help:"Only report what a reload would do."`
	Force  bool `help:"Also remove plugins that agents, tasks, files or MCP servers still need."`
	serverFlags
}

// Run reloads plugins.hcl and prints the changes.
func (c *pluginsReloadCommand) Run(ctx context.Context, out *output) error {
	api, err := c.client(os.Getenv, os.Stdin, out.stderr)
	if err != nil {
		return err
	}
	r, err := api.ReloadPlugins(ctx, c.DryRun, c.Force)
	if err != nil {
		return err
	}
	for _, change := range []struct {
		name    string
		plugins []string
	}{{"started", r.Started}, {"replaced", r.Replaced}, {"stopped", r.Stopped}, {"kept", r.Kept}} {
		if len(change.plugins) > 0 {
			_, _ = fmt.Fprintf(out.stdout, "%-9s %s\n", change.name, strings.Join(change.plugins, ", "))
		}
	}
	_, err = fmt.Fprintf(out.stdout, "generation %d\n", r.Generation)
	return err
}
