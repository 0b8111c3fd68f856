package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
)

// Reload is the result of a reload of plugins.hcl. It names plugins as kind/label.
type Reload struct {
	Generation int      `json:"generation"`
	Started    []string `json:"started"`
	Replaced   []string `json:"replaced"`
	Stopped    []string `json:"stopped"`
	Kept       []string `json:"kept"`
}

// ReloadPlugins makes the server reload plugins.hcl. With dryRun it only reports what would change. With force it also
// removes plugins that objects still need.
func (c *Client) ReloadPlugins(ctx context.Context, dryRun, force bool) (*Reload, error) {
	query := url.Values{}
	if dryRun {
		query.Set("dry_run", "true")
	}
	if force {
		query.Set("force", "true")
	}
	reply, err := c.postSignedIn(ctx, "/v1/plugins/reload?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = reply.Body.Close() }()
	var r Reload
	if err := json.NewDecoder(io.LimitReader(reply.Body, maxReply)).Decode(&r); err != nil {
		return nil, fmt.Errorf("the server sent an invalid reply: %w", err)
	}
	return &r, nil
}
