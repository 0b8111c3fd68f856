package e2e_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/agentarea/agentarea/test/testenv"
)

const adminPassword = "correct-horse-battery-staple"

// server is a server's folder and settings, and the process that runs with them.
type server struct {
	t   *testing.T
	dir string
	// bin is the folder of the programs.
	bin  string
	args []string
	env  []string
	// databaseURL is empty for the SQLite database in dir.
	databaseURL string
	// shared is nil unless several tests use the server.
	shared *sharedServer

	url string
	*process
}

// process is a running or ended command.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr *output
	// exited is closed when the process has ended.
	exited chan struct{}
}

// newServer returns a server that does not run yet. plugins is the text of its plugins.hcl. If it
// is empty, the server has no such file.
func newServer(t *testing.T, plugins string) *server {
	t.Helper()
	s := &server{t: t, dir: t.TempDir(), bin: testenv.Binaries(t), env: []string{
		// Tests reload plugins.hcl themselves.
		"AGENTAREA_ADMIN_PASSWORD=" + adminPassword, "AGENTAREA_WATCH_CONFIG=false",
		// Tests send more requests and create more objects than people do. limit_test.go sets limits.
		"AGENTAREA_MAX_AGENTS=0", "AGENTAREA_MAX_MCP_SERVERS=0", "AGENTAREA_MAX_SESSIONS=0", "AGENTAREA_MAX_API_KEYS=0",
		"AGENTAREA_MAX_USER_DATA=0",
		"AGENTAREA_RATE_LIMIT_PER_MINUTE=0", "AGENTAREA_RATE_LIMIT_BURST=0",
		// No proxy needs to notice that a server stops. drain_test.go sets a delay.
		"AGENTAREA_DRAIN_DELAY=0",
	}}
	s.args = []string{"--listen", "127.0.0.1:0"}
	if plugins != "" {
		s.writePlugins(plugins)
	}
	return s
}

// start starts a server that runs until the test ends.
func start(t *testing.T, plugins string) *server {
	t.Helper()
	s := newServer(t, plugins)
	s.start()
	return s
}

func (s *server) writePlugins(text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, "plugins.hcl"), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// apiURL matches the URL in the banner, in both log formats.
var apiURL = regexp.MustCompile(`(?:API +|"url":")(http://[^\s"]+)`)

// start starts the server and waits until it is ready.
func (s *server) start() {
	s.t.Helper()
	args := append([]string{"serve"}, s.args...)
	if s.shared == nil {
		s.process = runFrom(s.t, s.bin, s.dir, s.env, args...)
	} else {
		s.process = launch(s.t, s.bin, s.dir, s.env, args...) // stopShared ends it
	}
	eventually(s.t, "the server's banner", func() bool {
		select {
		case <-s.exited:
			s.t.Fatalf("the server has ended during its start:\n%s", s.stderr)
		default:
		}
		return strings.Contains(s.stdout.String(), "Plugins:") || strings.Contains(s.stdout.String(), `"msg":"server is ready"`)
	})
	found := apiURL.FindStringSubmatch(s.stdout.String())
	if found == nil {
		s.t.Fatalf("the banner has no URL:\n%s", s.stdout)
	}
	s.url = found[1]
	s.waitReady()
}

// restart starts a server that has ended, with the same data and port.
func (s *server) restart() {
	s.t.Helper()
	s.args = []string{"--listen", strings.TrimPrefix(s.url, "http://")}
	s.start()
}

func (s *server) waitReady() {
	s.t.Helper()
	eventually(s.t, "/health/ready", func() bool {
		r, err := (&client{t: s.t, url: s.url}).try("GET", "/health/ready", nil)
		return err == nil && r.status == 200
	})
}

// badWord must not match in a server's log. An id may contain "panic" by chance, as a part of a
// longer word.
var badWord = regexp.MustCompile(`\b(DATA RACE|panic)\b`)

// run starts the agentarea command, which ends with the test at the latest.
func run(t *testing.T, dir string, env []string, args ...string) *process {
	t.Helper()
	return runFrom(t, testenv.Binaries(t), dir, env, args...)
}

func runFrom(t *testing.T, bin, dir string, env []string, args ...string) *process {
	t.Helper()
	p := launch(t, bin, dir, env, args...)
	t.Cleanup(func() {
		p.kill()
		if bad := p.badLog(); bad != "" {
			t.Errorf("the log has:\n%s", bad)
		}
		if t.Failed() {
			t.Logf("log of %v:\n%s", args, p.stderr.tail())
		}
	})
	return p
}

// launch starts the agentarea command in dir.
func launch(t *testing.T, bin, dir string, env []string, args ...string) *process {
	t.Helper()
	p := &process{stdout: &output{}, stderr: &output{}, exited: make(chan struct{})}
	p.cmd = exec.Command(filepath.Join(bin, "agentarea"), args...)
	p.cmd.Dir = dir
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + os.TempDir()}, env...)
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // exitCode returns the result
		close(p.exited)
	}()
	return p
}

// badLog returns the part of the log that reports a panic or a data race.
func (p *process) badLog() string {
	log := p.stderr.String()
	if at := badWord.FindStringIndex(log); at != nil {
		return log[at[0]:min(len(log), at[0]+4000)]
	}
	return ""
}

// kill sends SIGKILL and waits until the process has ended.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.exited
}

// terminate sends SIGTERM.
func (p *process) terminate() { _ = p.cmd.Process.Signal(syscall.SIGTERM) }

// exitCode waits until the process has ended.
func (p *process) exitCode(t *testing.T) int {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(waitTimeout):
		t.Fatalf("the process does not end within %s", waitTimeout)
	}
	return p.cmd.ProcessState.ExitCode()
}

// alive reports whether a process with that id runs. A zombie does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", itoa(pid), "stat"))
	if err == nil {
		_, state, _ := strings.Cut(string(stat), ") ")
		return !strings.HasPrefix(state, "Z")
	}
	return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

// kill sends SIGKILL to a process of the server.
func kill(t *testing.T, pid int) {
	t.Helper()
	if pid <= 1 {
		t.Fatalf("kill: process id %d", pid)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}
