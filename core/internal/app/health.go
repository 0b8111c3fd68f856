package app

import (
	"context"
	"fmt"
	"io"
	"net"

	"github.com/agentarea/agentarea/core/internal/client"
)

// healthCommand is agentarea health: a container's health check, which has no curl.
type healthCommand struct {
	Ready  bool   `help:"Ask whether the server can do its work, and say what is not ready."`
	URL    string `env:"AGENTAREA_URL" help:"The running server." placeholder:"URL" unset:"the one that listens on --listen here"`
	Listen string `default:"localhost:8000" env:"AGENTAREA_LISTEN" help:"Where the server listens, as serve has it." placeholder:"ADDRESS"`
}

func (c *healthCommand) run(ctx context.Context, stdout io.Writer) error {
	url, err := c.url()
	if err != nil {
		return err
	}
	if err := client.New(client.Options{URL: url}).Health(ctx, c.Ready); err != nil {
		return err
	}
	word := "healthy"
	if c.Ready {
		word = "ready"
	}
	_, _ = fmt.Fprintln(stdout, word)
	return nil
}

func (c *healthCommand) url() (string, error) {
	if c.URL != "" {
		return c.URL, nil
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return "", fmt.Errorf("--listen %q: %w (write host:port, as in localhost:8000)", c.Listen, err)
	}
	return "http://" + net.JoinHostPort(reachable(host), port), nil
}
