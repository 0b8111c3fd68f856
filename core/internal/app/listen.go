package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core/internal/config"
	"github.com/agentarea/agentarea/core/internal/mcp"
	"github.com/agentarea/agentarea/core/internal/mcp/gateway"
)

// children implements gateway.Servers.
type children struct{ *mcp.Servers }

// Dial implements gateway.Servers.
func (c children) Dial(ctx context.Context, id string) (gateway.Conn, error) {
	return c.Servers.Dial(ctx, id)
}

// httpServers are the HTTP servers with their listeners: the API first, then the MCP gateway if it has
// its own address.
type httpServers struct {
	servers   []*http.Server
	listeners []net.Listener
	// baseContext returns the parent of the contexts of all requests, which cancelRequests cancels.
	baseContext    func(net.Listener) context.Context
	cancelRequests context.CancelFunc
}

func newHTTPServers() *httpServers {
	ctx, cancel := context.WithCancel(context.Background())
	return &httpServers{baseContext: func(net.Listener) context.Context { return ctx }, cancelRequests: cancel}
}

// listen opens the next listener. flag is the flag that has the address.
func (h *httpServers) listen(ctx context.Context, flag, address string) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("%s: %w (choose another address, or stop the process that uses this one)", flag, err)
	}
	h.listeners = append(h.listeners, l)
	return nil
}

// add adds the server for the next listener.
func (h *httpServers) add(handler http.Handler, logger *slog.Logger) {
	h.servers = append(h.servers, &http.Server{
		Handler:           limitUnreadBody(handler),
		BaseContext:       h.baseContext,
		ReadHeaderTimeout: 10 * time.Second,
		// The API extends the deadline with each write, so that replies may take longer than this.
		WriteTimeout:   time.Minute,
		IdleTimeout:    2 * time.Minute,
		MaxHeaderBytes: 64 << 10,
		ErrorLog:       slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	})
}

// serve starts the servers. The channel receives their errors.
func (h *httpServers) serve() <-chan error {
	failed := make(chan error, len(h.servers))
	for i, server := range h.servers {
		go func() { failed <- server.Serve(h.listeners[i]) }()
	}
	return failed
}

// shutdown accepts no new requests and waits for those in progress until ctx is cancelled.
func (h *httpServers) shutdown(ctx context.Context) {
	var done sync.WaitGroup
	for _, server := range h.servers {
		done.Go(func() {
			if err := server.Shutdown(ctx); err != nil {
				_ = server.Close()
			}
		})
	}
	done.Wait()
}

// close closes the listeners.
func (h *httpServers) close() error {
	var errs []error
	for _, l := range h.listeners {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// url returns the URL under which this machine reaches listener i, which listens on address. It returns
// "" if there is no such listener.
func (h *httpServers) url(i int, address string) string {
	if i >= len(h.listeners) {
		return ""
	}
	host, _, _ := net.SplitHostPort(address)
	_, port, _ := net.SplitHostPort(h.listeners[i].Addr().String()) // address may have the port 0
	return "http://" + net.JoinHostPort(config.ReachableHost(host), port)
}

// unreadBodyTimeout is the time that a client has to send the rest of a body after the response.
const unreadBodyTimeout = 5 * time.Second

// limitUnreadBody bounds the time for the part of a body that the handler h did not read. net/http reads
// it to reuse the connection, and would wait for it without a time limit.
func limitUnreadBody(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		if r.ContentLength != 0 {
			// An error means that the connection is closed.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(unreadBodyTimeout))
		}
	})
}
