package ops_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait; a busy machine takes its time.
const patience = time.Minute

// bin is where make build, which make test runs first, puts what ships.
func bin(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join(checkout, "bin"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "agentarea")); err != nil {
		t.Fatalf("%v: run make build first", err)
	}
	return dir
}

// server is one that runs until the test ends.
type server struct {
	cmd    *exec.Cmd
	out    *output
	exited chan struct{}
}

type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// start runs the server that ships, behind the words of wrap, and waits for its banner.
func start(t *testing.T, wrap []string, env ...string) *server {
	t.Helper()
	dir := t.TempDir()
	args := append(wrap, filepath.Join(bin(t), "agentarea"), "serve", "--listen=127.0.0.1:0", "--data-dir="+dir)
	s := &server{cmd: exec.Command(args[0], args[1:]...), out: &output{}, exited: make(chan struct{})}
	s.cmd.Dir = dir
	s.cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "AGENTAREA_ADMIN_PASSWORD=" + adminPassword,
		"AGENTAREA_LOG_LEVEL=warn", "AGENTAREA_RATE_LIMIT_PER_MINUTE=0", "AGENTAREA_RATE_LIMIT_BURST=0",
	}, env...)
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait() // ended tells
		close(s.exited)
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.exited
		if t.Failed() {
			t.Logf("%v:\n%s", args, s.out)
		}
	})
	eventually(t, "the server's banner", func() bool {
		select {
		case <-s.exited:
			t.Fatal("the server ended at its start")
		default:
		}
		return strings.Contains(s.out.String(), "Plugins:")
	})
	return s
}

const adminPassword = "correct-horse-battery-staple"

var apiURL = regexp.MustCompile(`API +(http://\S+)`)

func (s *server) url() string { return apiURL.FindStringSubmatch(s.out.String())[1] }

// health asks by the command that the image's HEALTHCHECK is.
func (s *server) health(t *testing.T) {
	t.Helper()
	if out, err := exec.Command(filepath.Join(bin(t), "agentarea"), "health", "--ready", "--url", s.url()).CombinedOutput(); err != nil {
		t.Errorf("agentarea health: %v: %s", err, out)
	}
}

func (s *server) terminate(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}

// ended waits for the server's end within the time that orchestrators are told.
func (s *server) ended(t *testing.T, code int) {
	t.Helper()
	select {
	case <-s.exited:
	case <-time.After(30 * time.Second):
		t.Fatal("still there 30 s after SIGTERM")
	}
	if got := s.cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("exit code %d, want %d", got, code)
	}
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("no %s within %v", what, patience)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
