package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/mcptransport"
	"github.com/agentarea/agentarea/test/testenv"
)

// testServer is the path of the MCP server that tests run.
var testServer string

func TestMain(m *testing.M) {
	switch {
	case os.Getenv("TEST_HOST") != "":
		host(os.Args[2:])
		return
	case len(os.Args) > 1 && os.Args[1] == shimArg: // as main does
		os.Exit(runShim(os.Args[2:]))
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "mcp-stdio")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	testServer = filepath.Join(dir, "testserver")
	if out, err := exec.Command("go", "build", "-o", testServer, "./testdata/testserver").CombinedOutput(); err != nil {
		panic(string(out))
	}
	return m.Run()
}

// host is the main function of a test process that holds a connection until it is killed or
// its input ends.
func host(args []string) {
	t := newTransport(os.Getenv("TEST_HOST"), args[0] == "namespace")
	c, err := t.Connect(context.Background(), open(args[1], args[2:]...))
	if err != nil {
		panic(err)
	}
	if _, err := c.Receive(context.Background()); err != nil {
		panic(err)
	}
	fmt.Println("ready")
	_, _ = os.Stdin.Read(make([]byte, 1))
}

// newTransport returns a configured transport with small limits.
func newTransport(dir string, namespace bool, change ...func(*config)) *transport {
	t := &transport{
		config: config{
			MaxMemory: "1GiB", MaxProcesses: 30, MaxFiles: 256, Grace: 300 * time.Millisecond, Namespace: namespace,
		},
	}
	for _, c := range change {
		c(&t.config)
	}
	if err := t.Configure(context.Background(), sdk.Env{DataDir: dir}); err != nil {
		panic(err)
	}
	return t
}

// open returns the parameters for connecting to a command.
func open(command string, args ...string) mcptransport.Open {
	config, _ := json.Marshal(map[string]any{"command": command, "args": args})
	return mcptransport.Open{Slug: "test", Config: config}
}

// forBothModes runs a test with and without a namespace. On a machine without namespaces
// both run without.
func forBothModes(t *testing.T, test func(t *testing.T, namespace bool)) {
	t.Parallel()
	for _, namespace := range []bool{true, false} {
		t.Run(map[bool]string{true: "namespace", false: "group"}[namespace], func(t *testing.T) {
			t.Parallel()
			test(t, namespace)
		})
	}
}

// connect returns a connection to the test server.
func connect(t *testing.T, tr *transport, args ...string) *conn {
	t.Helper()
	c, err := tr.Connect(t.Context(), open(testServer, args...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Close()
		<-c.(*conn).done
	})
	return c.(*conn)
}

// nextMessage returns the next message and the log lines before it.
func nextMessage(t *testing.T, c *conn) (string, []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var lines []string
	for {
		f, err := c.Receive(ctx)
		if err != nil {
			t.Fatalf("after %q: %v", lines, err)
		}
		if f.Message != nil {
			return string(f.Message), lines
		}
		lines = append(lines, f.Stderr)
	}
}

// waitExit waits for the end of the connection.
func waitExit(t *testing.T, c *conn) *mcptransport.Exit {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for {
		_, err := c.Receive(ctx)
		var e *mcptransport.Exit
		if errors.As(err, &e) {
			return e
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestEcho(t *testing.T) {
	forBothModes(t, func(t *testing.T, namespace bool) {
		c := connect(t, newTransport(t.TempDir(), namespace), "echo")
		large := `{"id":"` + strings.Repeat("x", 8<<20) + `"}`
		go func() {
			for _, m := range []string{"{\n \"id\" : 1\r\n}", large} {
				if err := c.Send(t.Context(), []byte(m)); err != nil {
					t.Error(err)
				}
			}
		}()
		if m, _ := nextMessage(t, c); m != `{"id":1}` {
			t.Errorf("message = %q, want {\"id\":1}", m)
		}
		if m, _ := nextMessage(t, c); m != large {
			t.Errorf("message has %d bytes, want %d", len(m), len(large))
		}
		_ = c.Close()
		if e := waitExit(t, c); e.Code != 0 || e.Message != closedByHost {
			t.Errorf("exit = %+v", e)
		}
		if err := c.Send(t.Context(), []byte("{}")); sdk.AsError(err).Code != sdk.CodeUnavailable {
			t.Error(err)
		}
	})
}

func TestEnvironment(t *testing.T) {
	t.Setenv("AGENTAREA_SECRET_KEY", "hunter2")
	config, _ := json.Marshal(map[string]any{
		"command": testServer, "args": []string{"env"}, "env": map[string]string{"API_KEY": "k", "HOME": "/nowhere"},
	})
	tr := newTransport(t.TempDir(), true)
	raw, err := tr.Connect(t.Context(), mcptransport.Open{Config: config})
	if err != nil {
		t.Fatal(err)
	}
	c := raw.(*conn)
	defer func() { _ = c.Close() }()
	_, lines := nextMessage(t, c)
	env := strings.Join(lines, "")
	if strings.Contains(env, "hunter2") || !strings.Contains(env, `API_KEY=k`) ||
		!strings.Contains(env, "HOME=/nowhere") || !strings.Contains(env, "PATH=") || strings.Contains(env, "GOMAXPROCS") {
		t.Error(env)
	}
}

func TestExit(t *testing.T) {
	forBothModes(t, func(t *testing.T, namespace bool) {
		tr := newTransport(t.TempDir(), namespace)
		if e := waitExit(t, connect(t, tr, "exit", "3")); e.Code != 3 ||
			e.Message != "the program exited with code 3; last stderr: about to exit" {
			t.Errorf("exit = %+v", e)
		}
		if e := waitExit(t, connect(t, tr, "exit", "0")); e.Code != 0 ||
			!strings.HasPrefix(e.Message, "the program exited with code 0") {
			t.Errorf("exit = %+v", e)
		}
		_, err := tr.Connect(t.Context(), mcptransport.Open{Config: json.RawMessage(`{"command":"/etc/hostname"}`)})
		if err == nil {
			t.Error("Connect() to a file that is not executable = nil, want an error")
		}
	})
}

func TestInvalidOutput(t *testing.T) {
	t.Parallel()
	c := connect(t, newTransport(t.TempDir(), true), "invalid-output")
	m, lines := nextMessage(t, c)
	_ = c.Close()
	for { // log lines may arrive after the message
		f, err := c.Receive(t.Context())
		if err != nil {
			break
		}
		lines = append(lines, f.Stderr)
	}
	if m != `{"id":1}` || strings.Join(lines, "|") != `stdout: Listening on port 3000|stdout: {"half":` {
		t.Errorf("message = %s, lines = %q", m, lines)
	}
}

func TestAnswerTooLong(t *testing.T) {
	t.Parallel()
	c := connect(t, newTransport(t.TempDir(), true), "long")
	m, _ := nextMessage(t, c)
	var answer struct {
		ID    string
		Error struct {
			Code    int
			Message string
		}
	}
	if err := json.Unmarshal([]byte(m), &answer); err != nil || answer.ID != "a-1" || answer.Error.Code != -32603 ||
		!strings.Contains(answer.Error.Message, "the limit is 16777216") {
		t.Errorf("message = %s, %v, want an error answer with id a-1", m, err)
	}
	if m, _ := nextMessage(t, c); m != `{"id":2}` {
		t.Errorf(`got message %s, want {"id":2}`, m)
	}
}

func TestScanner(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"id":12,"result":{}}`: `12`,
		`{ "jsonrpc" : "2.0", "result":[{"id":1}], "id" : "x\"y"}`: `"x\"y"`,
		`{"result":"\",\"id\":5","id":6}`:                          `6`,
		`{"id":1,"method":"x"}`:                                    ``,
		`{"method":"x"}`:                                           ``,
		`{"id":null,"error":{}}`:                                   ``,
		`[{"id":1}]`:                                               ``,
	} {
		s := &scanner{}
		s.write([]byte(text))
		var answer struct{ ID json.RawMessage }
		if got := s.answer(); got != nil {
			if err := json.Unmarshal(got, &answer); err != nil {
				t.Errorf("answer to %s = %s, want JSON", text, got)
			}
		}
		if string(answer.ID) != want {
			t.Errorf("id of %s = %q, want %q", text, answer.ID, want)
		}
	}
}

// A program that writes much to standard error is not blocked, even if nobody reads its
// log.
func TestStderr_doesNotBlock(t *testing.T) {
	t.Parallel()
	c := connect(t, newTransport(t.TempDir(), true), "stderr")
	select {
	case m := <-c.messages:
		if string(m) != `{"id":1}` {
			t.Errorf(`got message %s, want {"id":1}`, m)
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("the program is blocked by its log")
	}
	_ = c.Close()
	if e := waitExit(t, c); e.Code != 0 {
		t.Errorf("exit = %+v", e)
	}
}

func TestClose_programIgnoresSIGTERM(t *testing.T) {
	forBothModes(t, func(t *testing.T, namespace bool) {
		c := connect(t, newTransport(t.TempDir(), namespace), "ignores-sigterm")
		nextMessage(t, c)
		stopwatch := testenv.StartStopwatch()
		_ = c.Close()
		if e := waitExit(t, c); e.Message != closedByHost {
			t.Errorf("exit = %+v", e)
		}
		stopwatch.Check(t, 5*time.Second, "Close")
	})
}

func TestLimits(t *testing.T) {
	forBothModes(t, func(t *testing.T, namespace bool) {
		small := newTransport(t.TempDir(), namespace, func(c *config) { c.MaxMemory = "100MiB" })
		if e := waitExit(t, connect(t, small, "memory")); !strings.Contains(e.Message,
			"of memory; the limit is 100 MiB (max_memory in plugins.hcl)") {
			t.Errorf("exit = %+v", e)
		}
		if e := waitExit(t, connect(t, newTransport(t.TempDir(), namespace), "processes")); !strings.Contains(e.Message,
			"processes; the limit is 30 (max_processes in plugins.hcl)") {
			t.Errorf("exit = %+v", e)
		}
	})
}

// countProcesses returns the number of processes with a marker in their arguments.
func countProcesses(t *testing.T, marker string) (n int) {
	t.Helper()
	for _, p := range processes() {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.pid))
		if bytes.Contains(line, []byte(marker)) && !bytes.Contains(line, []byte("stdio.test")) {
			n++
		}
	}
	return n
}

// waitNoProcesses waits until no process has the marker.
func waitNoProcesses(t *testing.T, marker string) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		n := countProcesses(t, marker)
		if n == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d processes are still running", n)
		}
	}
}

func TestNoProcessOutlivesConnection(t *testing.T) {
	forBothModes(t, func(t *testing.T, namespace bool) {
		tr := newTransport(t.TempDir(), namespace)
		for name, endConn := range map[string]func(c *conn){
			"closed":        func(c *conn) { _ = c.Close() },
			"shim killed":   func(c *conn) { _ = c.shim.cmd.Process.Kill() },
			"program exits": func(*conn) {},
		} {
			marker := fmt.Sprintf("leaf-%v-%s", namespace, strings.ReplaceAll(name, " ", "-"))
			args := []string{"tree", marker}
			if name == "program exits" {
				args = append(args, "end")
			}
			c := connect(t, tr, args...)
			nextMessage(t, c)
			endConn(c)
			_ = waitExit(t, c)
			waitNoProcesses(t, marker)
		}
	})
}

func TestNoProcessOutlivesKilledPlugin(t *testing.T) {
	forBothModes(t, func(t *testing.T, namespace bool) {
		mode := map[bool]string{true: "namespace", false: "group"}[namespace]
		marker := "orphan-of-" + mode
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		// The arguments are those of a shim, because killOrphans kills all other children of this process.
		cmd := &exec.Cmd{
			Path: self, Args: []string{"mcp-stdio", shimArg, mode, testServer, "tree", marker}, Stderr: os.Stderr,
		}
		cmd.Env = append(os.Environ(), "TEST_HOST="+t.TempDir())
		if _, err := cmd.StdinPipe(); err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
		if n := countProcesses(t, marker); n < 3 {
			t.Errorf("got %d processes, want at least 3", n)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		waitNoProcesses(t, marker)
	})
}

func TestCheckConfig(t *testing.T) {
	t.Parallel()
	tr := newTransport(t.TempDir(), false)
	for config, want := range map[string]string{
		`[]`:                                  "Must be an object. Allowed fields: command, args, env, cwd.",
		`{}`:                                  "command: Missing. Set it to the program to run, such as npx.",
		`{"command":1}`:                       "command: Must be a string. Allowed fields: command, args, env, cwd.",
		`{"command":"sh","args":"x"}`:         "args: Must be a list of strings. Allowed fields: command, args, env, cwd.",
		`{"command":"sh","argv":[]}`:          "argv: Unknown field. Allowed fields: command, args, env, cwd.",
		`{"command":"no-such-thing"}`:         `command: Program "no-such-thing" was not found on the server's PATH. Install it, or use its absolute path. Arguments belong in args.`,
		`{"command":"sh","env":{"PATH":"x"}}`: "env: PATH: Not allowed, because this variable can make a program run other code. Remove it, or set it in a script that starts the program.",
		`{"command":"sh","env":{"ld_preload":"x"}}`:      "env: ld_preload: Not allowed, because this variable can make a program run other code. Remove it, or set it in a script that starts the program.",
		`{"command":"sh","env":{"A=B":"x"}}`:             "env: A=B: Invalid name of an environment variable",
		`{"command":"sh","args":["a","b\u0000"]}`:        "args: 1: Must not contain a NUL character",
		`{"command":"sh","cwd":"relative"}`:              "cwd: Must be the absolute path of an existing folder",
		`{"command":"sh","args":["-c"],"env":{"A":"b"}}`: "",
	} {
		got := ""
		if err := tr.CheckConfig(t.Context(), json.RawMessage(config)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("CheckConfig(%s)\ngot  %s\nwant %s", config, got, want)
		}
	}
}

// A program whose shim and plugin were killed together is killed by the next plugin.
// Another process with the same id is not.
func TestRecords_sweep(t *testing.T) {
	t.Parallel()
	r := records(t.TempDir())
	start := func() *exec.Cmd {
		// The arguments are those of a shim, because killOrphans kills all other children.
		cmd := &exec.Cmd{
			Path: testServer, Args: []string{"mcp-stdio", shimArg},
			Env: []string{"TEST_SERVER_MODE=leaf"}, SysProcAttr: programAttributes(),
		}
		cmd.SysProcAttr.Pdeathsig = 0
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		return cmd
	}
	recorded, other := start(), start()
	r.add(recorded.Process.Pid)
	if err := os.WriteFile(filepath.Join(string(r), fmt.Sprint(other.Process.Pid)+"-1"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.sweep()
	_ = recorded.Wait()
	if err := other.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("sweep killed another process: %v", err)
	}
	if entries, _ := os.ReadDir(string(r)); len(entries) > 0 {
		t.Errorf("%d records are left, want none", len(entries))
	}
}
