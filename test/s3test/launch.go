package s3test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/test/testenv"
)

// version must be the same as VERSITYGW_VERSION in the Makefile.
const version = "v1.8.0"

// binary returns the path of the server's program. Without it the test is skipped.
func binary(tb testing.TB) string {
	tb.Helper()
	cache, err := testenv.Cache()
	if err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(cache, "bin", "versitygw-"+version, "versitygw")
	if _, err := os.Stat(path); err != nil {
		testenv.Missing(tb, "S3 server versitygw", err)
	}
	return path
}

// errPort means that another process took the free port first.
var errPort = errors.New("address already in use")

// launch runs a server for this test.
func launch(tb testing.TB) *Server {
	tb.Helper()
	path := binary(tb)
	var err error
	for range 5 {
		var s *Server
		if s, err = try(tb, path); err == nil {
			return s
		}
		if !errors.Is(err, errPort) {
			break
		}
	}
	tb.Fatalf("start %s: %v", path, err)
	return nil
}

func try(tb testing.TB, path string) (*Server, error) {
	tb.Helper()
	s := &Server{Endpoint: freePort(tb), AccessKey: "test-" + rand.Text(), SecretKey: rand.Text(), Region: "us-east-1"}
	s.connect(tb)
	output := &log{}
	cmd := exec.CommandContext(context.WithoutCancel(tb.Context()), path, arguments(tb, s.Endpoint)...)
	cmd.Env = []string{
		"ROOT_ACCESS_KEY=" + s.AccessKey, "ROOT_SECRET_KEY=" + s.SecretKey,
		"PATH=" + os.Getenv("PATH"), "HOME=" + tb.TempDir(),
	}
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = withParent()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s.Pid = cmd.Process.Pid
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // output has the reason
		close(ended)
	}()
	if err := s.ready(tb.Context(), ended); err != nil {
		_ = cmd.Process.Kill()
		<-ended
		text := output.text()
		if strings.Contains(text, errPort.Error()) {
			err = errPort
		}
		return nil, errors.Join(err, errors.New(text))
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	return s, nil
}

func arguments(tb testing.TB, address string) []string {
	args := []string{"--port", address, "--region", "us-east-1", "--quiet", "--keep-alive", "posix"}
	root := tb.TempDir()
	if !hasAttributes(root) {
		args = append(args, "--sidecar", tb.TempDir())
	}
	return append(args, root)
}

func freePort(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// ready waits until the server accepts its own keys. Another process's server that took the
// same port does not know them.
func (s *Server) ready(ctx context.Context, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		dialer := net.Dialer{}
		if c, err := dialer.DialContext(ctx, "tcp", s.Endpoint); err == nil {
			_ = c.Close()
			_, err = s.Client.ListBuckets(ctx)
			if err == nil {
				return nil
			}
		}
		select {
		case <-ended:
			return errors.New("the server has ended")
		case <-ctx.Done():
			return errors.New("the server does not answer")
		case <-tick.C:
		}
	}
}

// log keeps the beginning of the server's output, for the error when it does not start.
type log struct {
	mu   sync.Mutex
	data bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.data.Len() < 64<<10 {
		l.data.Write(p)
	}
	return len(p), nil
}

func (l *log) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.TrimSpace(l.data.String())
}
