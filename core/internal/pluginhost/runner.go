package pluginhost

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-plugin/runner"
)

const (
	// outputDrainTimeout limits how long output is read after the process has
	// exited, because a grandchild may keep the pipe open indefinitely.
	outputDrainTimeout = 200 * time.Millisecond
	// killTimeout is the maximum time for a killed process to exit.
	killTimeout = 5 * time.Second
	// maxPreamble is the maximum number of lines on stdout that precede the handshake.
	maxPreamble = 1000
)

// starter starts processes from one OS thread that lives until close. The kernel sends a
// child its death signal when the thread that started it exits, not when the process does.
type starter struct {
	requests chan func()
	done     chan struct{}
}

func newStarter() *starter {
	s := &starter{requests: make(chan func()), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		runtime.LockOSThread() // not unlocked, so that the thread exits with the goroutine
		for f := range s.requests {
			f()
		}
	}()
	return s
}

func (s *starter) start(cmd *exec.Cmd) error {
	result := make(chan error, 1)
	s.requests <- func() { result <- cmd.Start() }
	return <-result
}

// close ends the thread. All processes must have exited, and start must not be called again.
func (s *starter) close() {
	close(s.requests)
	<-s.done
}

// process is a plugin process and implements go-plugin's runner.Runner. It detects the
// exit by waiting for the process itself, independent of the state of its pipes.
type process struct {
	name    string
	starter *starter
	binary  *binary
	args    []string
	env     []string
	// socketDir is removed after the process has exited.
	socketDir string
	log       *pluginLog

	cmd   *exec.Cmd
	stdin *os.File
	// handshakeR and handshakeW carry the one line that go-plugin reads.
	handshakeR *io.PipeReader
	handshakeW *io.PipeWriter
	// emptyStderrR is the stderr that go-plugin reads. It is empty and ends with
	// the process, because go-plugin's own reader panics on some lines.
	emptyStderrR *io.PipeReader
	emptyStderrW *io.PipeWriter

	// exited is closed when the process has exited and is reaped. drained is
	// closed when its remaining output has been read.
	exited  chan struct{}
	drained chan struct{}

	mu     sync.Mutex
	pid    int
	reaped bool
	// killReason is the reason why the host killed the process. It is empty if the host did not.
	killReason string
}

var _ runner.Runner = (*process)(nil)

func newProcess(name string, s *starter, b *binary, args, env []string, log *pluginLog) *process {
	p := &process{
		name: name, starter: s, binary: b, args: args, env: env, log: log,
		exited: make(chan struct{}), drained: make(chan struct{}),
	}
	p.handshakeR, p.handshakeW = io.Pipe()
	p.emptyStderrR, p.emptyStderrW = io.Pipe()
	return p
}

// Start starts the process with its own pipes and in its own process group.
func (p *process) Start(context.Context) error {
	var pipes [3][2]*os.File
	closeAll := func(ends ...int) {
		for _, pipe := range pipes {
			for _, end := range ends {
				if pipe[end] != nil {
					pipe[end].Close()
				}
			}
		}
	}
	for i := range pipes {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(0, 1)
			return fmt.Errorf("create a pipe: %w", err)
		}
		if i == 0 {
			r, w = w, r // the host writes to stdin
		}
		pipes[i] = [2]*os.File{r, w}
	}
	p.cmd = &exec.Cmd{
		Path: p.binary.execPath(), Args: append([]string{p.binary.path}, p.args...), Env: p.env,
		Stdin: pipes[0][1], Stdout: pipes[1][1], Stderr: pipes[2][1],
		ExtraFiles: p.binary.extraFiles(), SysProcAttr: processAttributes(),
	}
	if err := p.starter.start(p.cmd); err != nil {
		closeAll(0, 1)
		return fmt.Errorf("start %s: %w", p.binary.path, err)
	}
	closeAll(1)
	p.stdin = pipes[0][0]
	p.mu.Lock()
	p.pid = p.cmd.Process.Pid
	if p.killReason != "" {
		_ = killGroup(p.pid)
	}
	p.mu.Unlock()

	var output sync.WaitGroup
	output.Go(func() { p.readStdout(pipes[1][0]) })
	output.Go(func() { p.log.read(pipes[2][0]) })
	go p.wait(pipes[1][0], pipes[2][0], &output)
	return nil
}

// wait waits until the process exits, and closes its pipes soon after.
func (p *process) wait(stdout, stderr *os.File, output *sync.WaitGroup) {
	p.reap()
	close(p.exited)

	deadline := time.Now().Add(outputDrainTimeout)
	_ = stdout.SetReadDeadline(deadline)
	_ = stderr.SetReadDeadline(deadline)
	output.Wait()
	stdout.Close()
	stderr.Close()
	p.stdin.Close()
	_ = p.handshakeW.Close() // closing an io.Pipe does not fail
	_ = p.emptyStderrW.Close()
	close(p.drained)
}

// readStdout forwards the handshake to go-plugin. It logs all other lines, because
// go-plugin would fail on a line that precedes the handshake.
func (p *process) readStdout(r io.Reader) {
	handshaken := false
	preamble := 0
	in := bufio.NewReaderSize(r, 64<<10)
	forEachLine(in, func(line []byte) {
		text := strings.TrimSpace(string(line))
		if !handshaken && (isHandshake(text) || preamble >= maxPreamble) {
			handshaken = true
			_, _ = io.WriteString(p.handshakeW, text+"\n")
			return
		}
		if !handshaken {
			preamble++
		}
		p.log.stdout(text, !handshaken)
	})
}

// isHandshake reports whether line is go-plugin's handshake: 1|1|unix|/path|grpc|cert.
func isHandshake(line string) bool {
	parts := strings.Split(line, "|")
	if len(parts) < 4 {
		return false
	}
	_, err := strconv.Atoi(parts[0])
	return err == nil
}

// kill kills the process and its group. reason becomes its exit reason. A process that
// is not started yet is killed as soon as it is.
func (p *process) kill(reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return
	}
	if p.killReason == "" {
		p.killReason = reason
	}
	if p.pid != 0 {
		_ = killGroup(p.pid)
	}
}

// closeStdin closes the pipe to stdin. A plugin that watches its stdin exits then.
func (p *process) closeStdin() {
	if p.stdin != nil {
		p.stdin.Close()
	}
}

// killedByGoPlugin is the reason of a kill by go-plugin, whose own error has the details.
const killedByGoPlugin = "killed by go-plugin"

// Kill implements runner.Runner. It kills the process and waits up to killTimeout.
func (p *process) Kill(ctx context.Context) error {
	p.kill(killedByGoPlugin)
	ctx, cancel := context.WithTimeout(ctx, killTimeout)
	defer cancel()
	return p.Wait(ctx)
}

// Wait implements runner.Runner. It waits until the process exits.
func (p *process) Wait(ctx context.Context) error {
	p.mu.Lock()
	started := p.pid != 0
	p.mu.Unlock()
	if !started {
		return nil
	}
	select {
	case <-p.exited:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// waitExit waits until the process exits. It returns false if that takes longer than d.
func (p *process) waitExit(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-p.exited:
		return true
	case <-timer.C:
		return false
	}
}

// hasExited reports whether the process has exited.
func (p *process) hasExited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// exitReason describes how the process exited. Call it after exited was closed.
func (p *process) exitReason() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.killReason != "" && !p.cmd.ProcessState.Exited() {
		return p.killReason
	}
	return p.cmd.ProcessState.String()
}

// exitedOnItsOwn reports whether the host did not kill it. Call it after exited was closed.
func (p *process) exitedOnItsOwn() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.killReason == "" || p.cmd.ProcessState.Exited()
}

// Stdout implements runner.Runner. It returns only the handshake.
func (p *process) Stdout() io.ReadCloser { return p.handshakeR }

// Stderr implements runner.Runner. It returns nothing, because the host reads stderr itself.
func (p *process) Stderr() io.ReadCloser { return p.emptyStderrR }

// Name implements runner.Runner. It returns the plugin's name.
func (p *process) Name() string { return p.name }

// ID implements runner.Runner. It returns the process ID, or "" if the process is not started.
func (p *process) ID() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pid == 0 {
		return ""
	}
	return strconv.Itoa(p.pid)
}

// Diagnose implements runner.Runner. It returns "", because the end of stderr is more useful.
func (p *process) Diagnose(context.Context) string { return "" }

// PluginToHost implements runner.Runner. It rejects addresses on other machines.
func (p *process) PluginToHost(network, address string) (string, string, error) {
	if network == "unix" {
		return network, address, nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return "", "", fmt.Errorf("invalid plugin address %q: %w", address, err)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return "", "", errors.New("the plugin listens on " + address + "; it must listen on a unix socket or on 127.0.0.1")
	}
	return network, address, nil
}

// HostToPlugin implements runner.Runner. It returns its arguments.
func (p *process) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}
