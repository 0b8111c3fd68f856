package app

import (
	"context"
	"fmt"
	"strings"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api/health"
)

// lowDisk is how many free bytes the data dir's disk should have at least.
const lowDisk = 100 << 20

// checks are what /health/ready tells. The first two must hold for the server to get
// requests; with one of the others it is degraded, for what does not need it goes on.
func (a *App) checks() []health.Check {
	return []health.Check{
		{Name: "server", Ready: func(context.Context) error {
			if a.draining.Load() {
				return core.Unavailable("The server is stopping")
			}
			return nil
		}},
		{Name: "database", Ready: a.db.Ping},
		{Name: "plugins", Degrades: true, Ready: func(context.Context) error { return pluginsUp(a.plugins.Plugins()) }},
		{Name: "mcp_servers", Degrades: true, Ready: func(context.Context) error { return serversUp(a.servers.Counts()) }},
		{Name: "disk", Degrades: true, Ready: func(context.Context) error { return a.diskFree() }},
	}
}

// pluginsUp names the plugins that do not serve, and nothing of why: everybody may
// read it.
func pluginsUp(plugins []core.Plugin) error {
	var down []string
	for _, p := range plugins {
		if p.State != core.PluginRunning && p.State != core.PluginDisabled {
			down = append(down, fmt.Sprintf("%s %s is %s", p.Kind, p.Label, p.State))
		}
	}
	if len(down) == 0 {
		return nil
	}
	return core.Unavailable("%s", strings.Join(down, ", "))
}

// serversUp counts the MCP servers in error. Their names are their users' own.
func serversUp(counts map[core.MCPStatus]int) error {
	if n := counts[core.MCPError]; n > 0 {
		return core.Unavailable("%d of the MCP servers that are to run are in error", n)
	}
	return nil
}

func (a *App) diskFree() error {
	free, ok := freeBytes(a.data.path)
	if ok && free < lowDisk {
		return core.Unavailable("The data dir's disk has %d MiB left", free>>20)
	}
	return nil
}
