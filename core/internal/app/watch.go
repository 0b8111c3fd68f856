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

// settle is how long a file must lie still before it is read: whoever writes it
// may do so in several steps.
const settle = 200 * time.Millisecond

// watchFile calls changed each time that the content of the file at path is
// another one, also when the file is replaced, made or linked anew. It returns
// when ctx ends. A file that goes away is no change.
func watchFile(ctx context.Context, path string, logger *slog.Logger, changed func()) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch %s: %w", path, err)
	}
	// The folder, for a file that is replaced is another file.
	if err := watcher.Add(filepath.Dir(path)); err != nil {
		return fmt.Errorf("watch the folder of %s: %w", path, errors.Join(err, watcher.Close()))
	}
	last := digest(path)
	go func() {
		defer func() { _ = watcher.Close() }() // nothing is lost with it
		quiet := time.NewTimer(settle)
		quiet.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case _, open := <-watcher.Events:
				if !open {
					return
				}
				quiet.Reset(settle)
			case err, open := <-watcher.Errors:
				if !open {
					return
				}
				logger.WarnContext(ctx, "the plugins' file is watched badly: reload by SIGHUP when this goes on", "config", path, "error", err)
				quiet.Reset(settle) // something may have been missed
			case <-quiet.C:
				if now := digest(path); now != nil && !bytes.Equal(now, last) {
					last = now
					changed()
				}
			}
		}
	}()
	return nil
}

// digest is that of a file's content; nil for a file that can't be read.
func digest(path string) []byte {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	sum := sha256.Sum256(content)
	return sum[:]
}
