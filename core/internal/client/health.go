package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// healthPatience bounds how long the server may take to say how it is.
const healthPatience = 10 * time.Second

// Health asks whether the server is alive or, with ready, whether it can do its
// work. It fails with what is not ready, or with why nobody answers.
func (c *Client) Health(ctx context.Context, ready bool) error {
	path := "/health"
	if ready {
		path = "/health/ready"
	}
	ctx, cancel := context.WithTimeout(ctx, healthPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.options.URL+path, nil)
	if err != nil {
		return err
	}
	reply, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = reply.Body.Close() }()
	var body struct {
		Status string `json:"status"`
		Error  struct {
			Message string `json:"message"`
			Details struct {
				part
				Errors []part `json:"errors"`
			} `json:"details"`
		} `json:"error"`
	}
	err = json.NewDecoder(io.LimitReader(reply.Body, maxReply)).Decode(&body)
	switch {
	case reply.StatusCode == http.StatusOK && err == nil && body.Status != "":
		return nil
	case err != nil || body.Error.Message == "":
		return fmt.Errorf("%s answers %s: is it AgentArea's address?", c.options.URL, reply.Status)
	}
	parts := body.Error.Details.Errors
	if len(parts) == 0 && body.Error.Details.Field != "" {
		parts = []part{body.Error.Details.part}
	}
	text := body.Error.Message
	for _, p := range parts {
		text += "\n  " + p.Field + ": " + p.Issue
	}
	return fmt.Errorf("%s", strings.TrimSpace(text))
}

// part is one that a server needs.
type part struct {
	Field string `json:"field"`
	Issue string `json:"issue"`
}
