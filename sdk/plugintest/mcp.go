package plugintest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/sdk/mcptransport"
)

// largeMCP is the size of a large MCP message in bytes.
const largeMCP = 8 << 20

// mcpChecks contains the state of the checks of a transport.
type mcpChecks struct {
	command Command
	plugin  *Plugin
	client  *mcptransport.Client
	server  json.RawMessage
	// programs reports whether the transport runs programs.
	programs bool
}

// MCP checks a transport to MCP servers. For a transport that runs programs, it uses shell commands as
// servers. Any other transport needs a Server in the script.
func MCP(t *testing.T, c Command) {
	t.Helper()
	s := &mcpChecks{command: c}
	s.start(t)
	s.programs = slices.Contains(s.plugin.Description.Capabilities, mcptransport.CapabilityProcess)
	switch {
	case c.Server != nil:
		data, err := json.Marshal(c.Server)
		if err != nil {
			t.Fatalf("Server: %v", err)
		}
		s.server = data
	case s.programs:
		s.server = shell("", "cat") // responds with the request
	default:
		t.Fatal("the script has no server, which a transport that does not run programs needs")
	}
	t.Run("Base", func(t *testing.T) { base(t, mcptransport.Kind, c, s.plugin) })
	checks := []subtest{
		{"Config", s.config},
		{"ConfigOffline", s.configOffline},
		{"RoundTrip", func(t *testing.T) { s.roundTrip(t, 100) }},
		{"Large", func(t *testing.T) { s.roundTrip(t, largeMCP) }},
		{"Close", s.closes},
		{"Parallel", s.parallel},
		{"Leaks", s.leaks},
	}
	if s.programs {
		checks = append(checks, []subtest{
			{"Stderr", s.stderr},
			{"ChildCrash", s.childCrash},
			{"NoChildLeft", s.noChildLeft},
			{"Killed", func(t *testing.T) { mcpKilled(t, c) }},
		}...)
	}
	subtests(t, mcptransport.Kind, checks)
}

// start starts the plugin for the checks.
func (s *mcpChecks) start(t *testing.T) {
	t.Helper()
	s.plugin = Start(t, mcptransport.Kind, s.command)
	s.client = mcptransport.NewClient(s.plugin.Conn)
}

// alone returns checks with a plugin of their own.
func (s *mcpChecks) alone(t *testing.T) *mcpChecks {
	t.Helper()
	other := *s
	other.start(t)
	return &other
}

// shell returns the config of a server that is a shell command.
func shell(mark, command string) json.RawMessage {
	config, _ := json.Marshal(map[string]any{ // cannot fail
		"command": "sh", "args": []string{"-c", command}, "env": map[string]string{markName: mark},
	})
	return config
}

func (s *mcpChecks) connect(t *testing.T, server json.RawMessage) mcptransport.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
	defer cancel()
	conn, err := s.client.Connect(ctx, mcptransport.Open{Slug: "plugintest", Config: server})
	if err != nil {
		t.Fatalf("Connect: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// exchange sends a request of the given size and checks that the response contains its params.
func exchange(t *testing.T, conn mcptransport.Conn, id, size int) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
	defer cancel()
	pad := unicodeText + strings.Repeat("x", size)
	if err := conn.Send(ctx,
		fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":"plugintest/echo","params":{"pad":"%s"}}`, id, pad)); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	for {
		frame, err := conn.Receive(ctx)
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		if frame.Message == nil {
			continue
		}
		var message struct {
			ID int
			// The program cat responds with the request.
			Params, Result struct{ Pad string }
		}
		if err := json.Unmarshal(frame.Message, &message); err != nil {
			return fmt.Errorf("the message is not valid JSON: %w", err)
		}
		if got := message.Params.Pad + message.Result.Pad; message.ID != id || got != pad {
			return fmt.Errorf("got a response of %d bytes with the ID %d and the params %.80q, want the ID %d and the params "+
				"of the request, %.80q", len(frame.Message), message.ID, got, id, pad)
		}
		return nil
	}
}

func (s *mcpChecks) roundTrip(t *testing.T, size int) {
	conn := s.connect(t, s.server)
	for id := range 3 {
		if err := exchange(t, conn, id+1, size); err != nil {
			t.Fatal(err)
		}
	}
}

// waitExit receives frames until the connection has ended, at most for limit.
func waitExit(t *testing.T, conn mcptransport.Conn, limit time.Duration) *mcptransport.Exit {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for {
		_, err := conn.Receive(ctx)
		var exit *mcptransport.Exit
		switch {
		case ctx.Err() != nil:
			t.Fatalf("the connection did not end within %s, want an exit from Receive", limit)
		case errors.As(err, &exit):
			return exit
		case err != nil:
			t.Fatalf("Receive: error %v, want an *Exit", err)
		}
	}
}

// closes checks that Close ends the connection, and all that the plugin started for it.
func (s *mcpChecks) closes(t *testing.T) {
	s = s.alone(t)
	conn := s.connect(t, s.server)
	if err := exchange(t, conn, 1, 10); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	_ = waitExit(t, conn, stopTime)
	_ = waitExit(t, conn, stopTime) // every further call returns an Exit
	s.plugin.checkIdle(t, stopTime, "a connection was closed")
}

// abandon ends a connection as a host does that has no time to close it.
func abandon(t *testing.T, conn mcptransport.Conn) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _ = conn.Receive(ctx) // ends the stream
}

// leaks checks what connections leave behind.
func (s *mcpChecks) leaks(t *testing.T) {
	s = s.alone(t)
	s.plugin.checkLeaks(t, "connections", func() {
		for _, end := range []func(mcptransport.Conn){
			func(conn mcptransport.Conn) { _ = conn.Close(); _ = waitExit(t, conn, stopTime) },
			func(conn mcptransport.Conn) { abandon(t, conn) },
		} {
			conn := s.connect(t, s.server)
			if err := exchange(t, conn, 1, 10); err != nil {
				t.Fatal(err)
			}
			end(conn)
		}
	})
}

func (s *mcpChecks) parallel(t *testing.T) {
	var wg sync.WaitGroup
	for range parallel {
		conn := s.connect(t, s.server)
		wg.Go(func() {
			if err := exchange(t, conn, 1, 1000); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func (s *mcpChecks) stderr(t *testing.T) {
	conn := s.connect(t, shell("", "echo plugintest was here >&2; exec cat"))
	for {
		frame, err := conn.Receive(t.Context())
		if err != nil {
			t.Fatalf("Receive: error %v, want the line that the server wrote to stderr", err)
		}
		if frame.Stderr == "plugintest was here" {
			return
		}
	}
}

func (s *mcpChecks) childCrash(t *testing.T) {
	if exit := waitExit(t, s.connect(t, shell("", "exit 3")), callTimeout); exit.Code != 3 {
		t.Errorf("the exit of a server with code 3 = %+v, want code 3", exit)
	}
	if exit := waitExit(t, s.connect(t, shell("", "kill -9 $$")), callTimeout); exit.Code != -1 {
		t.Errorf("the exit of a killed server = %+v, want code -1", exit)
	}
}

// noChildLeft checks that the children of a server end with the connection.
func (s *mcpChecks) noChildLeft(t *testing.T) {
	mark := rand.Text()
	conn := s.connect(t, shell(mark, "sleep 1000 & exec cat"))
	if err := exchange(t, conn, 1, 10); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	_ = waitExit(t, conn, callTimeout)
	checkNoProcessLeft(t, mark, "its connection was closed")
}

// mcpKilled checks that servers end when their plugin is killed.
func mcpKilled(t *testing.T, c Command) {
	t.Helper()
	b := startBare(t, c)
	b.configure(t, c)
	s := &mcpChecks{client: mcptransport.NewClient(b.conn)}
	mark := rand.Text()
	conn := s.connect(t, shell(mark, "sleep 1000 & exec cat"))
	if err := exchange(t, conn, 1, 10); err != nil {
		t.Fatal(err)
	}
	b.kill()
	_ = waitExit(t, conn, callTimeout)
	checkNoProcessLeft(t, mark, "its plugin was killed")
}

// EchoMCP returns a handler that is an MCP server over streamable HTTP. Its result for each request is the
// params of the request. Use it as the Server in the script of a transport over HTTP.
func EchoMCP() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			http.Error(w, "POST a message", http.StatusMethodNotAllowed)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 2*largeMCP))
		var message struct{ ID, Params json.RawMessage }
		if err == nil {
			err = json.Unmarshal(body, &message)
		}
		switch {
		case err != nil:
			http.Error(w, err.Error(), http.StatusBadRequest)
		case message.ID == nil:
			w.WriteHeader(http.StatusAccepted)
		default:
			w.Header().Set("Content-Type", "application/json")
			// fails only if the client has disconnected
			_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, message.ID, message.Params)
		}
	})
}
