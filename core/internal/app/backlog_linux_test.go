package app

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"
)

// Connections that the server has not accepted yet when it stops are answered, and no others begin.
func TestRefuse(t *testing.T) {
	t.Parallel()
	servers := newHTTPServers()
	if err := servers.listen(t.Context(), "--listen", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer servers.close() //nolint:errcheck // Shutdown has closed it
	l := servers.listeners[0]
	waiting := make([]net.Conn, 20)
	for i := range waiting {
		conn, err := dial(t.Context(), l)
		if err != nil {
			t.Fatal(err)
		}
		waiting[i] = conn
		defer waiting[i].Close()
		if _, err := io.WriteString(waiting[i], "POST / HTTP/1.1\r\nHost: server.example\r\nContent-Length: 0\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	servers.add(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	servers.leaving.Store(true)
	refused := make(chan error, 1)
	go func() { refused <- servers.refuse() }()

	// A new client gets no answer, until the listener is closed.
	short, cancel := context.WithTimeout(t.Context(), 3*handshakeTime)
	defer cancel()
	for {
		late, err := dial(short, l)
		if err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a connection after refuse fails with %v, want no answer", err)
			}
			break
		}
		waiting = append(waiting, late) // refuse had not begun
		defer late.Close()
		if _, err := io.WriteString(late, "GET / HTTP/1.1\r\nHost: server.example\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-refused:
		t.Errorf("refuse() = %v before the connections are accepted, want it to wait", err)
	default:
	}
	servers.serve()
	if err := <-refused; err != nil {
		t.Errorf("refuse() = %v", err)
	}
	servers.shutdown(t.Context())
	for i, conn := range waiting {
		_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
		r, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("connection %d of %d: %v, want a response", i, len(waiting), err)
			continue
		}
		_ = r.Body.Close()
	}
	if _, err := dial(t.Context(), l); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a connection after the listener is closed: %v, want connection refused", err)
	}
}

func dial(ctx context.Context, l net.Listener) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "tcp", l.Addr().String())
}
