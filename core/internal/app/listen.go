package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
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
	// leaving reports whether clients should use other connections, because the server is about to stop.
	leaving atomic.Bool
	// accepting counts the listeners from which connections are accepted.
	accepting sync.WaitGroup
	// fresh contains the connections whose first request has not reached its handler.
	fresh sync.Map
}

// connKey is the key of the connection in the context of a request.
type connKey struct{}

// connState maintains fresh. It is the ConnState of the servers.
func (h *httpServers) connState(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		h.fresh.Store(conn, nil)
	case http.StateActive:
		if !h.leaving.Load() { // while it is set, closeWhenLeaving does this more exactly
			h.fresh.Delete(conn)
		}
	case http.StateClosed, http.StateHijacked:
		h.fresh.Delete(conn)
	case http.StateIdle:
	}
}

func newHTTPServers() *httpServers {
	ctx, cancel := context.WithCancel(context.Background())
	return &httpServers{baseContext: func(net.Listener) context.Context { return ctx }, cancelRequests: cancel}
}

// listen opens the next listener. flag is the flag that has the address.
func (h *httpServers) listen(ctx context.Context, flag, address string) error {
	var tcp net.ListenConfig
	tcp.SetMultipathTCP(false) // refuseConnections needs a plain TCP socket
	l, err := tcp.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("%s: %w (choose another address, or stop the process that uses this one)", flag, err)
	}
	h.listeners = append(h.listeners, l)
	return nil
}

// add adds the server for the next listener.
func (h *httpServers) add(handler http.Handler, logger *slog.Logger) {
	h.servers = append(h.servers, &http.Server{
		Handler:     h.closeWhenLeaving(limitUnreadBody(handler)),
		BaseContext: h.baseContext,
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, conn)
		},
		ConnState:         h.connState,
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
		h.accepting.Go(func() { failed <- server.Serve(h.listeners[i]) })
	}
	return failed
}

// closeWhenLeaving makes clients close their connections after the response while the server is about to stop. A
// proxy that reuses a connection at the moment in which the server closes it would lose the request.
func (h *httpServers) closeWhenLeaving(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.leaving.Load() {
			w.Header().Set("Connection", "close")
			h.fresh.Delete(r.Context().Value(connKey{}))
		}
		handler.ServeHTTP(w, r)
	})
}

// admitTime bounds the time in which the requests of new connections reach their handlers.
const admitTime = 2 * time.Second

// refuse closes the listeners without a loss: it first accepts the connections that exist, and returns when their
// requests have reached their handlers. http.Server.Shutdown would close these connections without an answer. It
// returns an error if some may be reset. The caller must call shutdown afterwards.
func (h *httpServers) refuse() error {
	refused := make(chan error, len(h.listeners))
	for _, l := range h.listeners {
		go func() {
			err := refuseConnections(l)
			_ = l.Close() // ends Serve
			refused <- err
		}()
	}
	var errs []error
	for range h.listeners {
		errs = append(errs, <-refused)
	}
	h.accepting.Wait()
	for began := time.Now(); h.hasFresh() && time.Since(began) < admitTime; {
		time.Sleep(time.Millisecond)
	}
	return errors.Join(errs...)
}

func (h *httpServers) hasFresh() bool {
	found := false
	h.fresh.Range(func(any, any) bool {
		found = true
		return false
	})
	return found
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
