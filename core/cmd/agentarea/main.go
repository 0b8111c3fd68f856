// Command agentarea runs the server and manages its data. See agentarea --help.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/agentarea/agentarea/core/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	code := cli.Main(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
