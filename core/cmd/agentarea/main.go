// Command agentarea is the server.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/agentarea/agentarea/core/internal/app"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	code := app.Main(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
