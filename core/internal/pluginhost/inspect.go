package pluginhost

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	goplugin "github.com/hashicorp/go-plugin"

	"github.com/agentarea/agentarea/core/internal/config"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/plugin"
)

// Inspection is a plugin's description of itself before it is configured.
type Inspection struct {
	plugin.Description
	Schema sdk.Block
}

// Inspect starts the binary at path, asks for its description and config schema, and
// stops it. The host must have no other plugins. Inspect neither needs Start nor Close.
func (h *Host) Inspect(ctx context.Context, path string) (*Inspection, error) {
	if err := h.prepare(ctx); err != nil {
		return nil, err
	}
	defer func() { _ = h.release() }() // a leftover is removed at the next start
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", path, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("find the plugin: %w", err)
	}
	block := &config.Block{Kind: "any", Label: filepath.Base(path), AutoMTLS: true}
	i := &instance{
		block: block, timing: h.timing,
		proc: newProcess(path, h.starter, &binary{program: programOf(path, info)}, nil, environment(block, h.level),
			newPluginLog(h.logger, block.Mask)),
	}
	i.client = goplugin.NewClient(i.clientConfig(h.sockets.dir, nil))
	ctx, cancel := context.WithTimeout(ctx, h.timing.Start)
	defer cancel()
	defer context.AfterFunc(ctx,
		func() { i.proc.kill(fmt.Sprintf("killed because it did not answer within %s", h.timing.Start)) })()
	out, err := i.inspect(ctx)
	if err != nil {
		err = i.startError(err)
		i.proc.kill("killed because the inspection failed")
		i.cleanUp()
		return nil, err
	}
	return out, i.stop(ctx)
}

func (i *instance) inspect(ctx context.Context) (*Inspection, error) {
	if err := i.connect(); err != nil {
		return nil, err
	}
	out := &Inspection{}
	var err error
	if out.Description, err = i.base.Describe(ctx); err != nil {
		return nil, fmt.Errorf("describe: %w", err)
	}
	if out.Schema, err = i.base.ConfigSchema(ctx); err != nil {
		return nil, fmt.Errorf("config schema: %w", err)
	}
	return out, nil
}

// Find returns the path of a block's binary. It searches Options.Dirs and then dirs. Its
// errors are *config.Error.
func (h *Host) Find(s *config.Block, dirs []string) (string, error) {
	if err := h.findDirs(); err != nil {
		return "", err
	}
	found, err := findBinary(s, slices.Concat(h.dirs, dirs))
	return found.path, err
}
