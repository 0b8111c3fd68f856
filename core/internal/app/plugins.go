package app

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/agentarea/agentarea"
	"github.com/agentarea/agentarea/core/internal/config"
)

// LoadPlugins reads the plugin configuration at path. If path is the default and there is no such file,
// it returns the built-in default and logs that.
func LoadPlugins(path string, logger *slog.Logger) (*config.Config, error) {
	cfg, err := config.Load(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && path != config.DefaultFile:
		return nil, fmt.Errorf("--config: %w (name an existing file, or omit the flag to use the built-in default)", err)
	case errors.Is(err, fs.ErrNotExist):
		logger.Info("using the built-in default because there is no plugin configuration", "config", path)
		return config.Parse(agentarea.DefaultPlugins, config.DefaultFile)
	}
	return cfg, err
}
