package ops_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/test/testenv"
)

// waitTimeout bounds every wait. It is long enough for a busy machine.
const waitTimeout = 3 * time.Minute

// bin returns the folder of the programs.
func bin(t *testing.T) string {
	t.Helper()
	return testenv.Binaries(t)
}

// server is a server that runs until the test ends.
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

// start starts the server with the command wrap in front of it, and waits for its banner.
func start(t *testing.T, wrap []string, env ...string) *server {
	t.Helper()
	dir := t.TempDir()
	args := append(wrap, filepath.Join(bin(t), "agentarea"), "serve", "--listen=127.0.0.1:0", "--data-dir="+dir)
	s := &server{cmd: exec.Command(args[0], args[1:]...), out: &output{}, exited: make(chan struct{})}
	s.cmd.Dir = dir
	s.cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "AGENTAREA_ADMIN_PASSWORD=" + adminPassword,
		"AGENTAREA_LOG_LEVEL=warn", "AGENTAREA_RATE_LIMIT_PER_MINUTE=0", "AGENTAREA_RATE_LIMIT_BURST=0",
		"AGENTAREA_DRAIN_DELAY=0",
	}, env...)
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait() // ended checks the result
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
			t.Fatal("the server has ended during its start")
		default:
		}
		return strings.Contains(s.out.String(), "Plugins:")
	})
	return s
}

const adminPassword = "correct-horse-battery-staple"

var apiURL = regexp.MustCompile(`API +(http://\S+)`)

func (s *server) url() string { return apiURL.FindStringSubmatch(s.out.String())[1] }

// health runs the command of the image's HEALTHCHECK.
func (s *server) health(t *testing.T) {
	t.Helper()
	if out, err := exec.Command(filepath.Join(bin(t), "agentarea"), "health", "--ready", "--url",
		s.url()).CombinedOutput(); err != nil {
		t.Errorf("agentarea health: %v: %s", err, out)
	}
}

// stop calls terminate and waits until the server has ended, which must have exit code 0. A server without
// runs and requests ends at once. The limits for runs and requests are tested in core/internal/app.
func (s *server) stop(t *testing.T, terminate func()) {
	t.Helper()
	stopwatch := testenv.StartStopwatch()
	terminate()
	select {
	case <-s.exited:
	case <-time.After(waitTimeout):
		t.Fatalf("the server runs %s after SIGTERM", waitTimeout)
	}
	stopwatch.Check(t, 15*time.Second, "the stop of a server without runs")
	if got := s.cmd.ProcessState.ExitCode(); got != 0 {
		t.Errorf("got exit code %d, want 0", got)
	}
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(waitTimeout)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for %s", waitTimeout, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
