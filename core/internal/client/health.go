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

// healthTimeout bounds the time of a health check.
const healthTimeout = 10 * time.Second

// Health checks whether the server is alive or, with ready, whether it is ready to serve requests. The error
// names the parts that are not ready, or the reason why the server does not respond.
func (c *Client) Health(ctx context.Context, ready bool) error {
	path := "/health"
	if ready {
		path = "/health/ready"
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
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
		return fmt.Errorf("%s responds with %s: check that this is the address of AgentArea", c.options.URL, reply.Status)
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

// part is a part of the server that is not ready.
type part struct {
	Field string `json:"field"`
	Issue string `json:"issue"`
}
