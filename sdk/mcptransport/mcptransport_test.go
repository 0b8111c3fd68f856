package mcptransport_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/internal/loopback"
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

// echo is a transport whose servers return the messages that they receive.
type echo struct {
	// conns receives each connection.
	conns chan *echoConn
	// stuck makes Send block until the connection is closed.
	stuck bool
}

func (e *echo) CheckConfig(_ context.Context, config json.RawMessage) error {
	if string(config) == `{}` {
		return errors.Join(&sdk.ConfigError{Path: []string{"command"}, Summary: "Missing", Detail: "write one"},
			&sdk.ConfigError{Path: []string{"args", "2"}, Summary: "Must be text"})
	}
	return nil
}

func (e *echo) Connect(ctx context.Context, o mcptransport.Open) (mcptransport.Conn, error) {
	switch o.Slug {
	case "down":
		return nil, &sdk.Error{Code: sdk.CodeUnavailable, Message: "nobody there", Retryable: true}
	case "slow":
		<-ctx.Done()
		return nil, ctx.Err()
	}
	c := &echoConn{stuck: e.stuck, frames: make(chan mcptransport.Frame, 100), closed: make(chan struct{})}
	e.conns <- c
	return c, nil
}

type echoConn struct {
	stuck  bool
	frames chan mcptransport.Frame
	once   sync.Once
	closed chan struct{}
}

func (c *echoConn) Info() mcptransport.Info { return mcptransport.Info{PID: 42, Sandbox: "namespace"} }

func (c *echoConn) Send(ctx context.Context, message []byte) error {
	if c.stuck {
		<-c.closed
		return errors.New("closed")
	}
	select {
	case c.frames <- mcptransport.Frame{Message: message}:
		return nil
	case <-c.closed:
		return errors.New("closed")
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *echoConn) Receive(context.Context) (mcptransport.Frame, error) {
	select {
	case f := <-c.frames:
		return f, nil
	case <-c.closed:
		return mcptransport.Frame{}, &mcptransport.Exit{Code: 7, Message: "closed"}
	}
}

func (c *echoConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

type rig struct {
	*mcptransport.Client
	echo   *echo
	server *grpc.Server
}

func newRig(t *testing.T) *rig {
	t.Helper()
	e := &echo{conns: make(chan *echoConn, 100)}
	cc, server := loopback.Serve(t, func(s *grpc.Server) { mcptransport.Register(s, e) })
	return &rig{mcptransport.NewClient(cc), e, server}
}

func (r *rig) connect(t *testing.T) (mcptransport.Conn, *echoConn) {
	t.Helper()
	c, err := r.Connect(t.Context(), mcptransport.Open{Slug: "echo"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, <-r.echo.conns
}

func TestConn_messages(t *testing.T) {
	t.Parallel()
	c, far := newRig(t).connect(t)
	if c.Info() != (mcptransport.Info{PID: 42, Sandbox: "namespace"}) {
		t.Errorf("Info() = %+v, want PID 42 and sandbox namespace", c.Info())
	}
	far.frames <- mcptransport.Frame{Stderr: "a line \xff"}
	large := append(append([]byte(`{"jsonrpc":"2.0","id":1,"result":"`), bytes.Repeat([]byte("x"), 8<<20)...), `"}`...)
	if err := c.Send(t.Context(), large); err != nil {
		t.Fatal(err)
	}
	if f, err := c.Receive(t.Context()); err != nil || f.Message != nil || f.Stderr != "a line \uFFFD" {
		t.Errorf("Receive() = %+v, %v, want the stderr line", f, err)
	}
	if f, err := c.Receive(t.Context()); err != nil || !bytes.Equal(f.Message, large) {
		t.Errorf("Receive() = %d bytes, %v, want the message of %d bytes", len(f.Message), err, len(large))
	}
	var e *sdk.Error
	if err := c.Send(t.Context(), make([]byte, mcptransport.MaxMessage+1)); !errors.As(err, &e) ||
		e.Code != sdk.CodeInvalidRequest {
		t.Errorf("Send of a message that is too large: error = %v, want code invalid_request", err)
	}
}

func TestConn_concurrentSends(t *testing.T) {
	t.Parallel()
	c, _ := newRig(t).connect(t)
	const senders, each = 16, 50
	var all sync.WaitGroup
	for s := range senders {
		all.Go(func() {
			for i := range each {
				if err := c.Send(t.Context(), fmt.Appendf(nil, `{"id":"%d-%d"}`, s, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	seen := map[string]bool{}
	for range senders * each {
		f, err := c.Receive(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		seen[string(f.Message)] = true
	}
	all.Wait()
	if len(seen) != senders*each {
		t.Errorf("got %d messages, want all", len(seen))
	}
}

func TestConn_Close(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.echo.stuck = true // a blocked Send does not prevent Close
	c, far := r.connect(t)
	go func() { _ = c.Send(t.Context(), []byte(`{}`)) }()
	_ = c.Close()
	_ = c.Close()
	<-far.closed
	for range 2 {
		var e *mcptransport.Exit
		if _, err := c.Receive(t.Context()); !errors.As(err, &e) || e.Code != 7 || e.Error() != "closed" {
			t.Errorf("Receive after the end: got error %v, want exit code 7", err)
		}
	}
	var e *sdk.Error
	if err := c.Send(t.Context(), []byte(`{}`)); !errors.As(err, &e) || e.Code != sdk.CodeUnavailable {
		t.Errorf("Send after Close: error = %v, want code unavailable", err)
	}
}

func TestConn_serverExits(t *testing.T) {
	t.Parallel()
	c, far := newRig(t).connect(t)
	_ = far.Close()
	var e *mcptransport.Exit
	if _, err := c.Receive(t.Context()); !errors.As(err, &e) || e.Code != 7 {
		t.Errorf("Receive: got error %v, want exit code 7", err)
	}
}

func TestConn_pluginExits(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c, far := r.connect(t)
	go r.server.Stop()
	var e *mcptransport.Exit
	if _, err := c.Receive(t.Context()); !errors.As(err, &e) || e.Code != -1 {
		t.Errorf("Receive from a stopped plugin: got error %v, want exit code -1", err)
	}
	<-far.closed // the connection ends with the stream
}

func TestConnect_error(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var e *sdk.Error
	if _, err := r.Connect(t.Context(), mcptransport.Open{Slug: "down"}); !errors.As(err, &e) ||
		e.Code != sdk.CodeUnavailable || e.Message != "nobody there" {
		t.Errorf("Connect: got error %v, want code %s", err, sdk.CodeUnavailable)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := r.Connect(ctx, mcptransport.Open{Slug: "slow"}); !errors.As(err, &e) || e.Code != sdk.CodeTimeout {
		t.Errorf("Connect after its deadline: got error %v, want code %s", err, sdk.CodeTimeout)
	}
}

func TestClient_CheckConfig(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if err := r.CheckConfig(t.Context(), json.RawMessage(`{"command":"x"}`)); err != nil {
		t.Error(err)
	}
	err := r.CheckConfig(t.Context(), json.RawMessage(`{}`))
	if err == nil || err.Error() != "command: Missing. write one\nargs: 2: Must be text" {
		t.Errorf("CheckConfig: got error %v, want two diagnostics", err)
	}
}

// faultyConn is an echoConn of which one method panics.
type faultyConn struct {
	*echoConn
	method string
}

func (c *faultyConn) Send(ctx context.Context, message []byte) error {
	if c.method == "Send" {
		panic("secret")
	}
	return c.echoConn.Send(ctx, message)
}

func (c *faultyConn) Receive(ctx context.Context) (mcptransport.Frame, error) {
	if c.method == "Receive" {
		panic("secret")
	}
	return c.echoConn.Receive(ctx)
}

func (c *faultyConn) Close() error {
	if c.method == "Close" {
		panic("secret")
	}
	return c.echoConn.Close()
}

// faulty is a transport whose connections to the server "x" panic in the method x.
type faulty struct{ *echo }

func (f faulty) Connect(ctx context.Context, o mcptransport.Open) (mcptransport.Conn, error) {
	c, err := f.echo.Connect(ctx, o)
	if err != nil || o.Slug == "echo" {
		return c, err
	}
	return &faultyConn{c.(*echoConn), o.Slug}, nil
}

// A panic ends one connection. The process and its other connections go on.
func TestConn_panic(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"Send", "Receive", "Close"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			e := &echo{conns: make(chan *echoConn, 100)}
			cc, _ := loopback.Serve(t, func(s *grpc.Server) { mcptransport.Register(s, faulty{e}) })
			r := &rig{Client: mcptransport.NewClient(cc), echo: e}
			other, _ := r.connect(t)
			c, err := r.Connect(t.Context(), mcptransport.Open{Slug: method})
			if err != nil {
				t.Fatal(err)
			}
			if method == "Send" {
				if err := c.Send(t.Context(), []byte("1")); err != nil {
					t.Errorf("Send = %v", err)
				}
			}
			if method == "Close" {
				_ = c.Close()
			}
			_, err = c.Receive(t.Context())
			exit, ok := errors.AsType[*mcptransport.Exit](err)
			if !ok || strings.Contains(exit.Message, "secret") {
				t.Errorf("Receive = %v, want an Exit without the value of the panic", err)
			}
			if method != "Close" && !strings.Contains(exit.Message, "the plugin panicked") {
				t.Errorf("Receive = %v, want a message that the plugin panicked", err)
			}
			if err := other.Send(t.Context(), []byte("2")); err != nil {
				t.Fatal(err)
			}
			if f, err := other.Receive(t.Context()); err != nil || string(f.Message) != "2" {
				t.Errorf("Receive of another connection = %s, %v, want 2", f.Message, err)
			}
		})
	}
}
