package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/agentarea/agentarea/core/internal/app"
	"github.com/agentarea/agentarea/core/internal/config"
)

// serveCommand is agentarea serve.
type serveCommand struct{ config.Settings }

// Run runs the server until ctx is cancelled. SIGHUP reloads plugins.hcl.
func (c *serveCommand) Run(ctx context.Context, out *output) error {
	// SIGHUP ends a process that does not handle it, so handle it before the start.
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	c.FromEnvironment(os.Getenv)
	server, err := app.Open(ctx, &c.Settings, app.NewLogger(&c.Settings, out.stderr))
	if err != nil {
		if ctx.Err() != nil {
			return errors.New("the server was stopped while it was starting")
		}
		return err
	}
	server.PrintBanner(out.stdout)
	return server.Run(ctx, reload)
}
