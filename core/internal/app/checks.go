package app

import (
	"context"
	"fmt"
	"strings"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api/health"
)

// minFreeDisk is the minimum of free bytes on the disk of the data directory.
const minFreeDisk = 100 << 20

// readinessChecks returns the checks of /health/ready. If one of the first two fails, the server must not
// receive requests. If another one fails it is degraded: requests that do not need that part still work.
func (a *App) readinessChecks() []health.Check {
	return []health.Check{
		{Name: "server", Instant: true, Ready: func(context.Context) error {
			select {
			case <-a.draining:
				return core.Unavailable("The server is stopping")
			default:
				return nil
			}
		}},
		{Name: "database", Ready: func(ctx context.Context) error { return a.db.Ready(ctx, a.owner) }},
		{Name: "plugins", Degrades: true, Ready: func(context.Context) error { return checkPlugins(a.plugins.Plugins()) }},
		{
			Name: "mcp_servers", Degrades: true,
			Ready: func(context.Context) error { return checkMCPServers(a.servers.Counts()) },
		},
		{Name: "replicas", Degrades: true, Ready: func(context.Context) error { return a.replicas.check() }},
		{Name: "disk", Degrades: true, Ready: func(context.Context) error { return checkDisk(a.data.Path()) }},
	}
}

// checkPlugins returns an error that names the plugins that are not running or not healthy. It does not
// contain their errors, because anyone can read it.
func checkPlugins(plugins []core.Plugin) error {
	var down []string
	for _, p := range plugins {
		switch {
		case p.Unhealthy:
			down = append(down, fmt.Sprintf("%s %s is unhealthy", p.Kind, p.Label))
		case p.State != core.PluginRunning && p.State != core.PluginDisabled:
			down = append(down, fmt.Sprintf("%s %s is %s", p.Kind, p.Label, p.State))
		}
	}
	if len(down) == 0 {
		return nil
	}
	return core.Unavailable("%s", strings.Join(down, ", "))
}

// checkMCPServers returns an error with the number of MCP servers in error. It does not name them, because
// anyone can read it.
func checkMCPServers(counts map[core.MCPStatus]int) error {
	if n := counts[core.MCPError]; n > 0 {
		verb := "have"
		if n == 1 {
			verb = "has"
		}
		return core.Unavailable("%d of the enabled MCP servers %s the status error", n, verb)
	}
	return nil
}

// checkDisk returns an error if the disk of the folder dir is almost full.
func checkDisk(dir string) error {
	free, ok := freeBytes(dir)
	if ok && free < minFreeDisk {
		return core.Unavailable("The disk of the data dir has only %d MiB free. Free disk space", free>>20)
	}
	return nil
}
