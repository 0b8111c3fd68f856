package cli

import (
	"context"
	"fmt"
	"net"

	"github.com/agentarea/agentarea/core/internal/client"
	"github.com/agentarea/agentarea/core/internal/config"
)

// healthCommand is agentarea health: the health check of a container image without curl.
type healthCommand struct {
	Ready  bool   `help:"Check whether the server is ready to serve requests, and print what is not ready."`
	URL    string `env:"AGENTAREA_URL" help:"URL of the running server." placeholder:"URL" unset:"the address of --listen on this machine"`
	Listen string `default:"localhost:8000" env:"AGENTAREA_LISTEN" help:"Address that the server listens on, as in serve." placeholder:"ADDRESS"`
}

// Run asks the server and prints "healthy" or, with --ready, "ready".
func (c *healthCommand) Run(ctx context.Context, out *output) error {
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
	_, _ = fmt.Fprintln(out.stdout, word)
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
	return "http://" + net.JoinHostPort(config.ReachableHost(host), port), nil
}
