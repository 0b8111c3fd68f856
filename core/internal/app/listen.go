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

// children adapts mcp.Servers to gateway.Servers.
type children struct{ *mcp.Servers }

// Dial implements gateway.Servers.
func (c children) Dial(ctx context.Context, id string) (gateway.Conn, error) {
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
		Handler:           hurried(h),
		BaseContext:       func(net.Listener) context.Context { return base },
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(a.logger.Handler(), slog.LevelWarn),
	})
}

// leftover is how long a client may go on sending a body after its answer is made.
const leftover = 5 * time.Second

// hurried bounds the reading of what a handler left of a body: net/http reads it
// to its end, to save the connection, and waits as long as the client likes.
func hurried(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		if r.ContentLength != 0 {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(leftover)) // a connection that is gone needs none
		}
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
	return "http://" + net.JoinHostPort(reachable(host), port)
}

// reachable is where a listener of this host answers on this machine.
func reachable(host string) string {
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		return "localhost"
	}
	return host
}
