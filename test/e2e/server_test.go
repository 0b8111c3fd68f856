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
)

const adminPassword = "correct-horse-battery-staple"

// server is a server's folder and settings, and the process that runs on them.
type server struct {
	t   *testing.T
	dir string
	// bin has the binaries.
	bin  string
	args []string
	env  []string
	// databaseURL is empty for the one in the folder.
	databaseURL string

	url string
	*process
}

// process is one life of a command.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr *output
	// exited is closed when the process has ended.
	exited chan struct{}
}

// newServer prepares a server that does not run yet. plugins is its plugins.hcl;
// without one there is no such file.
func newServer(t *testing.T, plugins string) *server {
	t.Helper()
	s := &server{t: t, dir: t.TempDir(), bin: binaries, env: []string{
		// Tests say themselves when plugins.hcl is read anew.
		"AGENTAREA_ADMIN_PASSWORD=" + adminPassword, "AGENTAREA_WATCH_CONFIG=false",
		// Tests ask more, and faster, than people do; limit_test.go has its own limits.
		"AGENTAREA_RATE_LIMIT_PER_MINUTE=0", "AGENTAREA_RATE_LIMIT_BURST=0",
	}}
	s.args = []string{"--listen", "127.0.0.1:0"}
	if plugins != "" {
		s.writePlugins(plugins)
	}
	return s
}

// start runs a server until the test ends.
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

var apiURL = regexp.MustCompile(`API +(http://\S+)`)

// start runs the server, and waits until it is ready.
func (s *server) start() {
	s.t.Helper()
	s.process = runFrom(s.t, s.bin, s.dir, s.env, append([]string{"serve"}, s.args...)...)
	eventually(s.t, 30*time.Second, "the server's banner", func() bool {
		select {
		case <-s.exited:
			s.t.Fatalf("the server ended at its start:\n%s", s.stderr)
		default:
		}
		return strings.Contains(s.stdout.String(), "Plugins:")
	})
	found := apiURL.FindStringSubmatch(s.stdout.String())
	if found == nil {
		s.t.Fatalf("no URL in the banner:\n%s", s.stdout)
	}
	s.url = found[1]
	s.awaitReady()
}

// restart runs a server that was ended once more, on the same data and port.
func (s *server) restart() {
	s.t.Helper()
	s.args = []string{"--listen", strings.TrimPrefix(s.url, "http://")}
	s.start()
}

func (s *server) awaitReady() {
	s.t.Helper()
	eventually(s.t, 10*time.Second*slack, "/health/ready", func() bool {
		r, err := (&client{t: s.t, url: s.url}).try("GET", "/health/ready", nil)
		return err == nil && r.status == 200
	})
}

// badWord is found in no server's log. An id may spell panic by chance, as a
// part of a longer word.
var badWord = regexp.MustCompile(`\b(DATA RACE|panic)\b`)

// run starts the agentarea command, and sees to its end with the test's.
func run(t *testing.T, dir string, env []string, args ...string) *process {
	t.Helper()
	return runFrom(t, binaries, dir, env, args...)
}

func runFrom(t *testing.T, bin, dir string, env []string, args ...string) *process {
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
		_ = p.cmd.Wait() // exitCode tells
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.kill()
		log := p.stderr.String()
		if at := badWord.FindStringIndex(log); at != nil {
			t.Errorf("in the log:\n%s", log[at[0]:min(len(log), at[0]+4000)])
		}
		if t.Failed() {
			t.Logf("log of %v:\n%s", args, p.stderr.tail())
		}
	})
	return p
}

// kill ends the process as kill -9 does, and waits for its end.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.exited
}

// terminate asks the process to end.
func (p *process) terminate() { _ = p.cmd.Process.Signal(syscall.SIGTERM) }

// exitCode waits for the end of the process.
func (p *process) exitCode(t *testing.T) int {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(time.Minute):
		t.Fatal("the process does not end")
	}
	return p.cmd.ProcessState.ExitCode()
}

// alive says whether there is a process of that id. A zombie is none.
func alive(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", itoa(pid), "stat"))
	if err == nil {
		_, state, _ := strings.Cut(string(stat), ") ")
		return !strings.HasPrefix(state, "Z")
	}
	return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if pid <= 1 {
		t.Fatalf("no process %d to kill", pid)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}
