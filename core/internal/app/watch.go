package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settleTime is the time without changes after which a file is read, because a program may write it in
// several steps.
const settleTime = 200 * time.Millisecond

// watchFile starts to watch the file at path and calls changed whenever its content changes, including
// when the file is created, replaced or reached through a new link. Removing the file is not a change.
// It returns immediately; the watch ends when ctx is cancelled.
func watchFile(ctx context.Context, path string, logger *slog.Logger, changed func()) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch %s: %w", path, err)
	}
	// Watch the folder, because a watch of a file ends when the file is replaced.
	if err := watcher.Add(filepath.Dir(path)); err != nil {
		return fmt.Errorf("watch the folder of %s: %w", path, errors.Join(err, watcher.Close()))
	}
	last := digest(path)
	go func() {
		defer func() { _ = watcher.Close() }() // an error here has no consequence
		settled := time.NewTimer(settleTime)
		settled.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case _, open := <-watcher.Events:
				if !open {
					return
				}
				settled.Reset(settleTime)
			case err, open := <-watcher.Errors:
				if !open {
					return
				}
				logger.WarnContext(ctx, "watching the plugin configuration failed; if this repeats, reload it with SIGHUP",
					"config", path, "error", err)
				settled.Reset(settleTime) // an event may have been lost
			case <-settled.C:
				if now := digest(path); now != nil && !bytes.Equal(now, last) {
					last = now
					changed()
				}
			}
		}
	}()
	return nil
}

// digest returns a hash of the content of a file, or nil if the file cannot be read.
func digest(path string) []byte {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	sum := sha256.Sum256(content)
	return sum[:]
}
