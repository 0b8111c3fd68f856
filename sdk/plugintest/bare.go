package plugintest

import (
	"bufio"
	"context"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/agentarea/agentarea/sdk/plugin"
)

// markName is the variable by which processes of a plugin are found again.
const markName = "AGENTAREA_PLUGINTEST_MARK"

// bare is a plugin's process without go-plugin's host around it: its pipes are
// the test's own, and it speaks no TLS.
type bare struct {
	cmd  *exec.Cmd
	conn *grpc.ClientConn
	// mark is in the environment of the process and of what it starts.
	mark string
	// stdin is the lifeline.
	stdin interface{ Close() error }
	// exited closes when the process has ended and stdout is read.
	exited chan struct{}

	mu sync.Mutex
	// after is what came on stdout after the handshake.
	after strings.Builder
}

func startBare(t *testing.T, c Command) *bare {
	t.Helper()
	sockets, err := os.MkdirTemp("", "plugintest")
	if err != nil {
		t.Fatal(err)
	}
	b := &bare{mark: rand.Text(), exited: make(chan struct{})}
	b.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), c.Path, c.Args...)
	b.cmd.Env = append(c.environment(), markName+"="+b.mark,
		plugin.Handshake.MagicCookieKey+"="+plugin.Handshake.MagicCookieValue,
		"PLUGIN_PROTOCOL_VERSIONS=1", "PLUGIN_MIN_PORT=10000", "PLUGIN_MAX_PORT=25000", "PLUGIN_UNIX_SOCKET_DIR="+sockets)
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log := &tail{}
	b.cmd.Stderr = log
	b.cmd.WaitDelay = time.Second
	if b.stdin, err = b.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := b.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.cmd.Start(); err != nil {
		t.Fatalf("start: %v", err)
	}
	handshake := make(chan string, 1)
	go func() {
		defer close(b.exited)
		lines := bufio.NewScanner(stdout)
		for first := true; lines.Scan(); first = false {
			if first {
				handshake <- lines.Text()
				continue
			}
			b.mu.Lock()
			b.after.WriteString(lines.Text() + "\n")
			b.mu.Unlock()
		}
		_ = b.cmd.Wait() // how it ended says nothing
	}()
	t.Cleanup(func() {
		b.kill()
		<-b.exited
		_ = os.RemoveAll(sockets)
		if t.Failed() {
			t.Logf("the log of %s:\n%s", c.Path, log)
		}
	})
	select {
	case line := <-handshake:
		b.connect(t, line)
	case <-b.exited:
		t.Fatal("the process ended before the handshake")
	case <-time.After(patience):
		t.Fatalf("there is no handshake on stdout within %s", patience)
	}
	return b
}

// connect reads go-plugin's line: 1|1|unix|/path|grpc|.
func (b *bare) connect(t *testing.T, line string) {
	t.Helper()
	parts := strings.Split(line, "|")
	if len(parts) < 5 || parts[0] != "1" || parts[1] != "1" || parts[4] != "grpc" {
		t.Fatalf("the first line on stdout is %q; want the handshake, 1|1|unix|PATH|grpc|", line)
	}
	target := parts[3]
	if parts[2] == "unix" {
		target = "unix:" + target
	}
	conn, err := grpc.NewClient(target, append(plugin.DialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatalf("connect to %s: %v", target, err)
	}
	b.conn = conn
	t.Cleanup(func() { _ = conn.Close() })
}

// kill ends the process with its group.
func (b *bare) kill() { _ = syscall.Kill(-b.cmd.Process.Pid, syscall.SIGKILL) }

// wantEnd fails unless the process ends by itself in time, with all that it has started.
func (b *bare) wantEnd(t *testing.T, limit time.Duration, after string) {
	t.Helper()
	select {
	case <-b.exited:
	case <-time.After(limit):
		t.Errorf("the process has not ended %s after %s", limit, after)
		return
	}
	wantNoneLeft(t, b.mark, after)
}

// wantNoneLeft fails when processes with the mark live on.
func wantNoneLeft(t *testing.T, mark, after string) {
	t.Helper()
	var left []string
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if left = marked(mark); len(left) == 0 {
			return
		}
	}
	t.Errorf("these processes live on after %s: %s", after, strings.Join(left, ", "))
}

// marked finds the processes with that mark in their environment, on systems
// that show it.
func marked(mark string) []string {
	var found []string
	environments, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range environments {
		env, _ := os.ReadFile(path) // another user's, or gone
		if strings.Contains(string(env), mark) {
			found = append(found, strings.Split(path, "/")[2])
		}
	}
	return found
}
