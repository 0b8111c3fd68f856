package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
)

// program is a Conn that uses the standard input and output of a program.
type program struct {
	cmd    *exec.Cmd
	mu     sync.Mutex
	stdin  io.WriteCloser
	lines  chan []byte
	once   sync.Once
	closed chan struct{}
}

func startProgram(path string, args ...string) (*program, error) {
	p := &program{cmd: exec.Command(path, args...), lines: make(chan []byte), closed: make(chan struct{})}
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.lines)
		in := bufio.NewReaderSize(stdout, 1<<20)
		for {
			line, err := in.ReadBytes('\n')
			if err != nil {
				return
			}
			select {
			case p.lines <- line:
			case <-p.closed:
				return
			}
		}
	}()
	return p, nil
}

func (p *program) Send(_ context.Context, message []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := p.stdin.Write(append(message[:len(message):len(message)], '\n'))
	return err
}

func (p *program) Receive(ctx context.Context) ([]byte, error) {
	select {
	case line, ok := <-p.lines:
		if !ok {
			return nil, errors.New("exit code 0")
		}
		return line, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *program) Close() error {
	p.once.Do(func() {
		close(p.closed)
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
	return nil
}

// fakes implements Servers and Auth. Servers are known by slug, and users by token.
type fakes struct {
	dial map[string]func() (Conn, error)

	mu sync.Mutex
	// openConns is the number of open connections per server.
	openConns map[string]int
	// ended contains the logins that have ended.
	ended map[string]bool
}

func (f *fakes) Find(_ context.Context, v core.Actor, slug string) (*core.MCPServer, error) {
	if f.dial[slug] == nil || v.UserID == "user-outsider" {
		return nil, core.NotFound("mcp server", slug)
	}
	return &core.MCPServer{ID: slug, Slug: slug, Version: 1}, nil
}

// countedConn is a Conn that calls end when it is closed.
type countedConn struct {
	Conn
	once sync.Once
	end  func()
}

func (c *countedConn) Close() error {
	defer c.once.Do(c.end)
	return c.Conn.Close()
}

func (f *fakes) Dial(_ context.Context, id string) (Conn, error) {
	conn, err := f.dial[id]()
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.openConns[id]++
	return &countedConn{Conn: conn, end: func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.openConns[id]--
	}}, nil
}

// openCount returns the number of open connections to the server.
func (f *fakes) openCount(id string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.openConns[id]
}

func (f *fakes) Verify(ctx context.Context, token string) (*core.Principal, error) {
	role := core.RoleMember
	switch token {
	case "ada", "bob", "outsider":
	case "viewer":
		role = core.RoleViewer
	default:
		return nil, &core.Error{Code: core.CodeUnauthorized, Message: "Invalid or expired token"}
	}
	if _, err := f.Live(ctx, token); err != nil {
		return nil, err
	}
	return &core.Principal{User: &core.User{ID: "user-" + token, Username: token, Role: role}, LoginID: token}, nil
}

func (f *fakes) Live(_ context.Context, loginID string) (*core.Principal, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended[loginID] {
		return nil, &core.Error{Code: core.CodeUnauthorized, Message: "Invalid or expired token"}
	}
	return &core.Principal{LoginID: loginID}, nil
}

// env is a gateway with an HTTP server on the loopback interface.
type env struct {
	*fakes
	gateway *Gateway
	url     string
}

// writeAPIError answers a request with the code, the message and the fields of an error, as package api does.
func writeAPIError(w http.ResponseWriter, _ *http.Request, err error, status int) {
	e := &core.Error{Code: core.CodeInternal}
	errors.As(err, &e)
	if status == 0 {
		status = e.Code.HTTPStatus()
	}
	body, err := json.Marshal(map[string]any{"error": map[string]any{
		"code": e.Code, "message": e.Message, "details": e.Fields, "request_id": "req-1",
	}})
	if err != nil {
		panic(err)
	}
	writeJSON(w, status, body)
}

// newEnv starts a gateway. When the test ends, it checks that all connections are closed.
func newEnv(t *testing.T, dial map[string]func() (Conn, error), change ...func(*Options)) *env {
	t.Helper()
	r := &env{fakes: &fakes{dial: dial, openConns: map[string]int{}, ended: map[string]bool{}}}
	o := Options{Servers: r.fakes, Auth: r.fakes, WriteError: writeAPIError, Logger: slog.New(slog.DiscardHandler)}
	for _, c := range change {
		c(&o)
	}
	r.gateway = New(o)
	server := httptest.NewServer(r.gateway)
	r.url = server.URL
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		r.gateway.Close()
		deadline := time.Now().Add(10 * time.Second)
		for id := range dial {
			for r.openCount(id) != 0 {
				if time.Now().After(deadline) {
					t.Errorf("got %d open connections to %s, want 0", r.openCount(id), id)
					break
				}
				time.Sleep(time.Millisecond)
			}
		}
	})
	return r
}

// withToken returns the URL of a proxy that adds the access token, for clients that cannot.
func (e *env) withToken(t *testing.T, token string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		req.Header.Set("Authorization", "Bearer "+token)
		e.gateway.ServeHTTP(w, req)
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}
