package app

import (
	"context"

	"github.com/coreos/go-systemd/v22/daemon"
)

// notify tells systemd, if it is there and wants to know, how the server stands.
func (a *App) notify(ctx context.Context, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		a.logger.WarnContext(ctx, "systemd is not told", "state", state, "error", err)
	}
}
