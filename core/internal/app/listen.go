package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/agentarea/agentarea/core/internal/mcp"
	"github.com/agentarea/agentarea/core/internal/mcp/gateway"
)

// children gives the gateway its children.
type children struct{ *mcp.Servers }

// Dial implements gateway.Servers.
func (c children) Dial(ctx context.Context, id string) (gateway.Child, error) {
	return c.Servers.Dial(ctx, id)
}

func (a *App) listen(ctx context.Context, flag, address string) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("%s: %w (give another address, or stop what uses this one)", flag, err)
	}
	a.listeners = append(a.listeners, l)
	a.onClose(func() error {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return nil
}

func (a *App) serve(base context.Context, h http.Handler) {
	a.http = append(a.http, &http.Server{
		Handler:           h,
		BaseContext:       func(net.Listener) context.Context { return base },
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(a.logger.Handler(), slog.LevelWarn),
	})
}

// URL is how clients reach the server.
func (a *App) URL() string {
	if a.settings.PublicURL != "" {
		return a.settings.PublicURL
	}
	return urlOf(a.settings.Listen, a.listeners[0])
}

// mcpURL is how clients reach the second listener; empty without one.
func (a *App) mcpURL() string {
	if len(a.listeners) < 2 {
		return ""
	}
	return urlOf(a.settings.MCPListen, a.listeners[1])
}

func urlOf(address string, l net.Listener) string {
	host, _, _ := net.SplitHostPort(address)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}
