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
)

// child is the program that tests run.
var child string

func TestMain(m *testing.M) {
	switch {
	case os.Getenv("TEST_HOST") != "":
		host(os.Args[2:])
		return
	case len(os.Args) > 1 && os.Args[1] == keeperWord: // as main does
		os.Exit(keep(os.Args[2:]))
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "mcp-stdio")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	child = filepath.Join(dir, "child")
	if out, err := exec.Command("go", "build", "-o", child, "./testdata/child").CombinedOutput(); err != nil {
		panic(string(out))
	}
	return m.Run()
}

// host holds a connection until it is killed, or its input ends.
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

func newTransport(dir string, namespace bool, change ...func(*config)) *transport {
	t := &transport{config: config{MaxMemory: "1GiB", MaxProcesses: 30, MaxFiles: 256, Grace: 300 * time.Millisecond, Namespace: namespace}}
	for _, c := range change {
		c(&t.config)
	}
	if err := t.Configure(context.Background(), sdk.Env{DataDir: dir}); err != nil {
		panic(err)
	}
	return t
}

func open(command string, args ...string) mcptransport.Open {
	config, _ := json.Marshal(map[string]any{"command": command, "args": args})
	return mcptransport.Open{Slug: "test", Config: config}
}

// tiers runs a test with and without a namespace. A machine that allows none is
// tested without only.
func tiers(t *testing.T, test func(t *testing.T, namespace bool)) {
	t.Parallel()
	for _, namespace := range []bool{true, false} {
		t.Run(map[bool]string{true: "namespace", false: "group"}[namespace], func(t *testing.T) {
			t.Parallel()
			test(t, namespace)
		})
	}
}

func connect(t *testing.T, tr *transport, args ...string) *conn {
	t.Helper()
	c, err := tr.Connect(t.Context(), open(child, args...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Close()
		<-c.(*conn).gone
	})
	return c.(*conn)
}

// message gives the next message, and the lines before it.
func message(t *testing.T, c *conn) (string, []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
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

func exitOf(t *testing.T, c *conn) *mcptransport.Exit {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
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
	tiers(t, func(t *testing.T, namespace bool) {
		c := connect(t, newTransport(t.TempDir(), namespace), "echo")
		large := `{"id":"` + strings.Repeat("x", 8<<20) + `"}`
		go func() {
			for _, m := range []string{"{\n \"id\" : 1\r\n}", large} {
				if err := c.Send(t.Context(), []byte(m)); err != nil {
					t.Error(err)
				}
			}
		}()
		if m, _ := message(t, c); m != `{"id":1}` {
			t.Errorf("%q", m)
		}
		if m, _ := message(t, c); m != large {
			t.Errorf("%d bytes", len(m))
		}
		_ = c.Close()
		if e := exitOf(t, c); e.Code != 0 || e.Message != closedByHost {
			t.Errorf("%+v", e)
		}
		if err := c.Send(t.Context(), []byte("{}")); sdk.AsError(err).Code != sdk.CodeUnavailable {
			t.Error(err)
		}
	})
}

func TestEnvironment(t *testing.T) {
	t.Setenv("AGENTAREA_SECRET_KEY", "hunter2")
	config, _ := json.Marshal(map[string]any{"command": child, "args": []string{"env"}, "env": map[string]string{"API_KEY": "k", "HOME": "/nowhere"}})
	tr := newTransport(t.TempDir(), true)
	raw, err := tr.Connect(t.Context(), mcptransport.Open{Config: config})
	if err != nil {
		t.Fatal(err)
	}
	c := raw.(*conn)
	defer func() { _ = c.Close() }()
	_, lines := message(t, c)
	env := strings.Join(lines, "")
	if strings.Contains(env, "hunter2") || !strings.Contains(env, `API_KEY=k`) || !strings.Contains(env, "HOME=/nowhere") || !strings.Contains(env, "PATH=") || strings.Contains(env, "GOMAXPROCS") {
		t.Error(env)
	}
}

func TestHowItEnds(t *testing.T) {
	tiers(t, func(t *testing.T, namespace bool) {
		tr := newTransport(t.TempDir(), namespace)
		if e := exitOf(t, connect(t, tr, "exit", "3")); e.Code != 3 || e.Message != "it ended with exit code 3; its last lines: about to end" {
			t.Errorf("%+v", e)
		}
		if e := exitOf(t, connect(t, tr, "exit", "0")); e.Code != 0 || !strings.HasPrefix(e.Message, "it ended with exit code 0") {
			t.Errorf("%+v", e)
		}
		_, err := tr.Connect(t.Context(), mcptransport.Open{Config: json.RawMessage(`{"command":"/etc/hostname"}`)})
		if err == nil {
			t.Error("started a file that is no program")
		}
	})
}

func TestGarbage(t *testing.T) {
	t.Parallel()
	c := connect(t, newTransport(t.TempDir(), true), "garbage")
	m, lines := message(t, c)
	_ = c.Close()
	for { // the log comes beside the messages
		f, err := c.Receive(t.Context())
		if err != nil {
			break
		}
		lines = append(lines, f.Stderr)
	}
	if m != `{"id":1}` || strings.Join(lines, "|") != `stdout: Listening on port 3000|stdout: {"half":` {
		t.Errorf("%s %q", m, lines)
	}
}

func TestAnAnswerThatIsTooLong(t *testing.T) {
	t.Parallel()
	c := connect(t, newTransport(t.TempDir(), true), "long")
	m, _ := message(t, c)
	var answer struct {
		ID    string
		Error struct {
			Code    int
			Message string
		}
	}
	if err := json.Unmarshal([]byte(m), &answer); err != nil || answer.ID != "a-1" || answer.Error.Code != -32603 || !strings.Contains(answer.Error.Message, "16777216 is the most") {
		t.Errorf("%s %v", m, err)
	}
	if m, _ := message(t, c); m != `{"id":2}` {
		t.Errorf("%s", m)
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
				t.Errorf("%s: %s", text, got)
			}
		}
		if string(answer.ID) != want {
			t.Errorf("%s: %q, want %q", text, answer.ID, want)
		}
	}
}

// It is not held up, though nobody reads its log.
func TestMuchStandardError(t *testing.T) {
	t.Parallel()
	c := connect(t, newTransport(t.TempDir(), true), "stderr")
	select {
	case m := <-c.messages:
		if string(m) != `{"id":1}` {
			t.Errorf("%s", m)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it is held up by its log")
	}
	_ = c.Close()
	if e := exitOf(t, c); e.Code != 0 {
		t.Errorf("%+v", e)
	}
}

func TestStubborn(t *testing.T) {
	tiers(t, func(t *testing.T, namespace bool) {
		c := connect(t, newTransport(t.TempDir(), namespace), "stubborn")
		message(t, c)
		began := time.Now()
		_ = c.Close()
		if e := exitOf(t, c); e.Message != closedByHost {
			t.Errorf("%+v", e)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestLimits(t *testing.T) {
	tiers(t, func(t *testing.T, namespace bool) {
		small := newTransport(t.TempDir(), namespace, func(c *config) { c.MaxMemory = "100MiB" })
		if e := exitOf(t, connect(t, small, "hog")); !strings.Contains(e.Message, "of memory, and 100 MiB is the most (max_memory in plugins.hcl)") {
			t.Errorf("%+v", e)
		}
		if e := exitOf(t, connect(t, newTransport(t.TempDir(), namespace), "many")); !strings.Contains(e.Message, "processes, and 30 is the most (max_processes in plugins.hcl)") {
			t.Errorf("%+v", e)
		}
	})
}

// leaves counts the processes that were left behind, by a word in their arguments.
func leaves(t *testing.T, word string) (n int) {
	t.Helper()
	for _, p := range processes() {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.pid))
		if bytes.Contains(line, []byte(word)) && !bytes.Contains(line, []byte("stdio.test")) {
			n++
		}
	}
	return n
}

func awaitNone(t *testing.T, word string) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		n := leaves(t, word)
		if n == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d processes are left", n)
		}
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	tiers(t, func(t *testing.T, namespace bool) {
		tr := newTransport(t.TempDir(), namespace)
		for name, end := range map[string]func(c *conn){
			"closed":             func(c *conn) { _ = c.Close() },
			"keeper was killed":  func(c *conn) { _ = c.keeper.cmd.Process.Kill() },
			"it ended by itself": func(*conn) {},
		} {
			word := fmt.Sprintf("leaf-%v-%s", namespace, strings.ReplaceAll(name, " ", "-"))
			args := []string{"tree", word}
			if name == "it ended by itself" {
				args = append(args, "end")
			}
			c := connect(t, tr, args...)
			message(t, c)
			end(c)
			_ = exitOf(t, c)
			awaitNone(t, word)
		}
	})
}

func TestNothingIsLeftBehindByThePluginsKill(t *testing.T) {
	tiers(t, func(t *testing.T, namespace bool) {
		tier := map[bool]string{true: "namespace", false: "group"}[namespace]
		word := "orphan-of-" + tier
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		// This process takes its own children for strays, but for keepers.
		cmd := &exec.Cmd{Path: self, Args: []string{"mcp-stdio", keeperWord, tier, child, "tree", word}, Stderr: os.Stderr}
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
		if n := leaves(t, word); n < 3 {
			t.Errorf("%d processes are there", n)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		awaitNone(t, word)
	})
}

func TestBadConfigs(t *testing.T) {
	t.Parallel()
	tr := newTransport(t.TempDir(), false)
	for config, want := range map[string]string{
		`[]`:                                  "Must be an object. There are command, args, env and cwd.",
		`{}`:                                  "command: Missing. Write the program to run, such as npx.",
		`{"command":1}`:                       "command: Must be a text. There are command, args, env and cwd.",
		`{"command":"sh","args":"x"}`:         "args: Must be a list of texts. There are command, args, env and cwd.",
		`{"command":"sh","argv":[]}`:          "argv: Unknown field. There are command, args, env and cwd.",
		`{"command":"no-such-thing"}`:         `command: There is no program "no-such-thing" on the server's PATH. Install it, or write its absolute path; arguments belong in args.`,
		`{"command":"sh","env":{"PATH":"x"}}`: "env: PATH: A variable that makes programs run other code. Leave it out; a program that needs it can be started by a script of yours.",
		`{"command":"sh","env":{"ld_preload":"x"}}`:      "env: ld_preload: A variable that makes programs run other code. Leave it out; a program that needs it can be started by a script of yours.",
		`{"command":"sh","env":{"A=B":"x"}}`:             "env: A=B: Not the name of a variable",
		`{"command":"sh","args":["a","b\u0000"]}`:        "args: 1: Must not contain NUL",
		`{"command":"sh","cwd":"relative"}`:              "cwd: Not the absolute path of a folder",
		`{"command":"sh","args":["-c"],"env":{"A":"b"}}`: "",
	} {
		got := ""
		if err := tr.CheckConfig(t.Context(), json.RawMessage(config)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", config, got, want)
		}
	}
}

// A program whose keeper and whose plugin were killed together is ended by the
// next plugin; another process that has its number is not.
func TestSweepOfARecordedProgram(t *testing.T) {
	t.Parallel()
	r := records(t.TempDir())
	start := func() *exec.Cmd {
		// As keepers are named, lest it be taken for a stray.
		cmd := &exec.Cmd{Path: child, Args: []string{"mcp-stdio", keeperWord}, Env: []string{"CHILD=leaf"}, SysProcAttr: programAttributes()}
		cmd.SysProcAttr.Pdeathsig = 0
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		return cmd
	}
	left, other := start(), start()
	r.add(left.Process.Pid)
	if err := os.WriteFile(filepath.Join(string(r), fmt.Sprint(other.Process.Pid)+"-1"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.sweep()
	_ = left.Wait()
	if err := other.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the other one was ended: %v", err)
	}
	if entries, _ := os.ReadDir(string(r)); len(entries) > 0 {
		t.Errorf("%d records are left", len(entries))
	}
}
