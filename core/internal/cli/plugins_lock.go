package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/agentarea/agentarea"
	"github.com/agentarea/agentarea/core/internal/config"
	"github.com/agentarea/agentarea/core/internal/pluginhost"
	"github.com/agentarea/agentarea/storage/fileowner"
)

// pluginsLockCommand is agentarea plugins lock.
type pluginsLockCommand struct{ configFlags }

// Run writes the sha256 of every enabled plugin into the configuration file and prints those that have
// changed.
func (c *pluginsLockCommand) Run(out *output) error {
	src, err := os.ReadFile(c.Config)
	if errors.Is(err, fs.ErrNotExist) && c.Config == config.DefaultFile {
		src, err = agentarea.DefaultPlugins, nil
	}
	if err != nil {
		return fmt.Errorf("read the plugin configuration: %w", err)
	}
	cfg, err := config.Parse(src, c.Config)
	if err != nil {
		return err
	}
	host := newHost("", nil)
	pins := map[string]string{}
	for _, s := range cfg.Blocks {
		if !s.Enabled {
			continue
		}
		path, err := host.Find(s, cfg.PluginDirs)
		if err != nil {
			return err
		}
		sum, err := pluginhost.Checksum(path)
		if err != nil {
			return err
		}
		if sum != s.SHA256 {
			pins[s.Name()] = sum
			_, _ = fmt.Fprintf(out.stdout, "%s  %s (%s)\n", sum, s.Name(), path)
		}
	}
	if len(pins) == 0 {
		_, err := fmt.Fprintln(out.stdout, "Every enabled plugin is pinned already.")
		return err
	}
	locked, err := config.Pin(src, c.Config, pins)
	if err != nil {
		return err
	}
	return replaceFile(c.Config, locked)
}

// replaceFile replaces the content of a file atomically and keeps its mode and owner. A new file belongs to the owner
// of its folder. It follows symbolic links.
func replaceFile(path string, content []byte) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	next, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write the plugin configuration: %w", err)
	}
	defer func() { _ = os.Remove(next.Name()) }()
	mode := os.FileMode(0o644)
	if info, statErr := os.Stat(path); statErr == nil {
		mode, err = info.Mode().Perm(), fileowner.Copy(info, next)
	} else {
		err = fileowner.Inherit(next)
	}
	if err == nil {
		_, err = next.Write(content)
	}
	if err := errors.Join(err, next.Chmod(mode), next.Sync(), next.Close()); err != nil {
		return fmt.Errorf("write the plugin configuration: %w", err)
	}
	if err := os.Rename(next.Name(), path); err != nil {
		return fmt.Errorf("replace the plugin configuration: %w", err)
	}
	return nil
}
