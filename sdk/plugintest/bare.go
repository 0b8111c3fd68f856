package plugintest

import (
	"bufio"
	"context"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/agentarea/agentarea/sdk/plugin"
)

// markName is the environment variable that identifies the processes of a plugin.
const markName = "AGENTAREA_PLUGINTEST_MARK"

// bare is the process of a plugin that is started without go-plugin. The test controls its pipes, and it
// does not use TLS.
type bare struct {
	cmd  *exec.Cmd
	conn *grpc.ClientConn
	// mark is the value of markName in the process and its children.
	mark string
	// stdin is the pipe whose end signals to the plugin that the host has exited.
	stdin interface{ Close() error }
	// exited is closed when the process has exited and stdout has been read.
	exited chan struct{}

	mu sync.Mutex
	// after contains the output on stdout after the handshake.
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
		_ = b.cmd.Wait() // the exit status does not matter
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
		t.Fatal("the process exited before the handshake")
	case <-time.After(handshakeTime):
		t.Fatalf("got no handshake on stdout within %s", handshakeTime)
	}
	return b
}

// connect connects to the address in the handshake line of go-plugin: 1|1|unix|/path|grpc|.
func (b *bare) connect(t *testing.T, line string) {
	t.Helper()
	parts := strings.Split(line, "|")
	if len(parts) < 5 || parts[0] != "1" || parts[1] != "1" || parts[4] != "grpc" {
		t.Fatalf("got %q as the first line on stdout, want the handshake 1|1|unix|PATH|grpc|", line)
	}
	target := parts[3]
	if parts[2] == "unix" {
		target = "unix:" + target
	}
	conn, err := grpc.NewClient(target, slices.Concat(plugin.DialOptions(), withDeadlines(),
		[]grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())})...)
	if err != nil {
		t.Fatalf("connect to %s: %v", target, err)
	}
	b.conn = conn
	t.Cleanup(func() { _ = conn.Close() })
}

// kill kills the process group.
func (b *bare) kill() { _ = syscall.Kill(-b.cmd.Process.Pid, syscall.SIGKILL) }

// checkExits checks that the process and its children exit within limit.
func (b *bare) checkExits(t *testing.T, limit time.Duration, after string) {
	t.Helper()
	select {
	case <-b.exited:
	case <-time.After(limit):
		t.Errorf("the process did not exit within %s after %s", limit, after)
		return
	}
	checkNoProcessLeft(t, b.mark, after)
}

// checkNoProcessLeft checks that no process with the mark is running.
func checkNoProcessLeft(t *testing.T, mark, after string) {
	t.Helper()
	var left []string
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if left = marked(mark); len(left) == 0 {
			return
		}
	}
	t.Errorf("these processes are still running after %s: %s", after, strings.Join(left, ", "))
}

// marked returns the IDs of the processes with the mark in their environment. It returns none on systems
// without /proc.
func marked(mark string) []string {
	var found []string
	environments, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range environments {
		env, _ := os.ReadFile(path) // fails for processes of other users, or that have exited
		if strings.Contains(string(env), mark) {
			found = append(found, strings.Split(path, "/")[2])
		}
	}
	return found
}
