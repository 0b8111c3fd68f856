package cli

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"os"
	"os/signal"
	"syscall"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"github.com/agentarea/agentarea/core/internal/app"
	"github.com/agentarea/agentarea/core/internal/config"
)

// serveCommand is agentarea serve.
type serveCommand struct{ config.Settings }

// Run runs the server until ctx is cancelled. SIGHUP reloads plugins.hcl. SIGINT and a second SIGTERM skip the drain
// delay.
func (c *serveCommand) Run(ctx context.Context, out *output) error {
	// SIGHUP ends a process that does not handle it, so handle it before the start.
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	stops := make(chan os.Signal, 2)
	signal.Notify(stops, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(stops)
	c.FromEnvironment(os.Getenv)
	logger := app.NewLogger(&c.Settings, out.stderr)
	app.RouteLibraryLogs(logger)
	err := c.serve(ctx, out, logger, app.Signals{Reload: reload, Hurry: hurry(stops)})
	if err != nil && c.LogFormat == config.LogFormatJSON {
		logger.ErrorContext(ctx, "the server failed", "error", out.message(err))
		return loggedError{err}
	}
	return err
}

// serve starts the server and runs it until ctx is cancelled.
func (c *serveCommand) serve(ctx context.Context, out *output, logger *slog.Logger, signals app.Signals) error {
	limitMemory(logger)
	server, err := app.Open(ctx, &c.Settings, logger)
	if err != nil {
		if ctx.Err() != nil {
			return errors.New("the server was stopped while it was starting")
		}
		return err
	}
	server.PrintBanner(out.stdout)
	return server.Run(ctx, signals)
}

// hurry returns a channel that is closed when the server must stop without the drain delay: after SIGINT, because a
// person who presses Ctrl-C waits, and after a second SIGTERM.
func hurry(stops <-chan os.Signal) <-chan struct{} {
	closed := make(chan struct{})
	go func() {
		if first := <-stops; first != os.Interrupt {
			<-stops
		}
		close(closed)
	}()
	return closed
}

// memoryRatio is the part of the memory limit of a container or a service that the server's Go heap may use. The
// rest is for the memory outside the heap, the plugins and the MCP servers.
const memoryRatio = 0.5

// limitMemory makes the garbage collector stay below the memory limit of the control group, unless
// GOMEMLIMIT is set. It does nothing where there is no such limit.
func limitMemory(logger *slog.Logger) {
	limit, err := memlimit.Set(memlimit.WithRatio(memoryRatio))
	switch {
	case err != nil:
		logger.Warn("cannot read the memory limit of the control group; set GOMEMLIMIT", "error", err)
	case limit < math.MaxInt64:
		logger.Info("limiting memory", "limit_bytes", limit)
	}
}
