package app

import (
	"context"
	"log/slog"

	"github.com/coreos/go-systemd/v22/daemon"
)

// notifySystemd sends a state to systemd if systemd started the server as a notify service.
func notifySystemd(ctx context.Context, state string, logger *slog.Logger) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		logger.WarnContext(ctx, "notifying systemd failed", "state", state, "error", err)
	}
}
