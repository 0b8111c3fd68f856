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
	// drainTime is how long output is still read once the process has ended: a
	// grandchild that holds the pipe's other end may hold it for ever.
	drainTime = 200 * time.Millisecond
	// killTime is how long the kernel may take to end a killed process.
	killTime = 5 * time.Second
	// maxPreamble is how many lines on stdout may come before the handshake.
	maxPreamble = 1000
)

// starter starts processes from one OS thread that lives as long as they do:
// the kernel sends a child its death signal when the thread that started it
// ends, not when the process does.
type starter struct {
	requests chan func()
	done     chan struct{}
}

func newStarter() *starter {
	s := &starter{requests: make(chan func()), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
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

// close ends the thread. No process may live or be started any more.
func (s *starter) close() {
	close(s.requests)
	<-s.done
}

// process is one plugin process: go-plugin's runner.Runner. Its end is seen by
// waiting for the process itself, whatever happens to its pipes.
type process struct {
	name    string
	starter *starter
	binary  *binary
	args    []string
	env     []string
	// socketDir is removed when the process has ended.
	socketDir string
	log       *pluginLog

	cmd      *exec.Cmd
	lifeline *os.File
	// handshake carries the one line that go-plugin reads.
	handshakeR *io.PipeReader
	handshakeW *io.PipeWriter
	// quiet is what go-plugin takes for stderr: it gives nothing, and ends with
	// the process. go-plugin's own reader panics on some lines.
	quietR *io.PipeReader
	quietW *io.PipeWriter

	// exited closes when the process has ended and is reaped, drained when all
	// that could be read of its output is read.
	exited  chan struct{}
	drained chan struct{}

	mu     sync.Mutex
	pid    int
	reaped bool
	// why says that the host killed the process, and why.
	why string
}

var _ runner.Runner = (*process)(nil)

func newProcess(name string, s *starter, b *binary, args, env []string, log *pluginLog) *process {
	p := &process{
		name: name, starter: s, binary: b, args: args, env: env, log: log,
		exited: make(chan struct{}), drained: make(chan struct{}),
	}
	p.handshakeR, p.handshakeW = io.Pipe()
	p.quietR, p.quietW = io.Pipe()
	return p
}

// Start starts the process with pipes of our own and in a group of its own.
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
			return fmt.Errorf("make a pipe: %w", err)
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
	p.lifeline = pipes[0][0]
	p.mu.Lock()
	p.pid = p.cmd.Process.Pid
	if p.why != "" {
		_ = killGroup(p.pid)
	}
	p.mu.Unlock()

	var output sync.WaitGroup
	output.Go(func() { p.readStdout(pipes[1][0]) })
	output.Go(func() { p.log.read(pipes[2][0]) })
	go p.wait(pipes[1][0], pipes[2][0], &output)
	return nil
}

// wait sees the end of the process, and lets go of its pipes soon after.
func (p *process) wait(stdout, stderr *os.File, output *sync.WaitGroup) {
	p.reap()
	close(p.exited)

	deadline := time.Now().Add(drainTime)
	_ = stdout.SetReadDeadline(deadline)
	_ = stderr.SetReadDeadline(deadline)
	output.Wait()
	stdout.Close()
	stderr.Close()
	p.lifeline.Close()
	_ = p.handshakeW.Close() // an io.Pipe, as the next
	_ = p.quietW.Close()
	close(p.drained)
}

// readStdout hands the handshake to go-plugin. What a plugin prints before it
// would end the start there; it is logged instead, and so is all that follows.
func (p *process) readStdout(r io.Reader) {
	shaken := false
	preamble := 0
	in := bufio.NewReaderSize(r, 64<<10)
	eachLine(in, func(line []byte) {
		text := strings.TrimSpace(string(line))
		if !shaken && (isHandshake(text) || preamble >= maxPreamble) {
			shaken = true
			_, _ = io.WriteString(p.handshakeW, text+"\n")
			return
		}
		if !shaken {
			preamble++
		}
		p.log.stdout(text, !shaken)
	})
}

// isHandshake knows go-plugin's line: 1|1|unix|/path|grpc|cert.
func isHandshake(line string) bool {
	parts := strings.Split(line, "|")
	if len(parts) < 4 {
		return false
	}
	_, err := strconv.Atoi(parts[0])
	return err == nil
}

// kill ends the process and its group, for a reason that its exit then has. One
// that is not started yet ends as soon as it is.
func (p *process) kill(why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return
	}
	if p.why == "" {
		p.why = why
	}
	if p.pid != 0 {
		_ = killGroup(p.pid)
	}
}

// letGo closes the lifeline: a plugin that watches its stdin ends by itself.
func (p *process) letGo() {
	if p.lifeline != nil {
		p.lifeline.Close()
	}
}

// byGoPlugin is the reason of a kill that go-plugin asked for: it has said more.
const byGoPlugin = "it was ended"

// Kill is kill with a deadline.
func (p *process) Kill(ctx context.Context) error {
	p.kill(byGoPlugin)
	ctx, cancel := context.WithTimeout(ctx, killTime)
	defer cancel()
	return p.Wait(ctx)
}

// Wait waits for the end of the process.
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

// endsWithin waits for the end of the process; false when it has not come by then.
func (p *process) endsWithin(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-p.exited:
		return true
	case <-timer.C:
		return false
	}
}

// ended says whether the process is there no more.
func (p *process) ended() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// exit says how the process ended. Call it when exited has closed.
func (p *process) exit() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.why != "" && !p.cmd.ProcessState.Exited() {
		return p.why
	}
	return p.cmd.ProcessState.String()
}

// exitedByItself is false when the host killed it. Call it when exited has closed.
func (p *process) exitedByItself() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.why == "" || p.cmd.ProcessState.Exited()
}

// Stdout gives the handshake and nothing else.
func (p *process) Stdout() io.ReadCloser { return p.handshakeR }

// Stderr gives nothing: the host reads it itself.
func (p *process) Stderr() io.ReadCloser { return p.quietR }

// Name is the stanza's.
func (p *process) Name() string { return p.name }

// ID is the process's number; empty when it was not started.
func (p *process) ID() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pid == 0 {
		return ""
	}
	return strconv.Itoa(p.pid)
}

// Diagnose has nothing to add: the end of stderr says more.
func (p *process) Diagnose(context.Context) string { return "" }

// PluginToHost lets a plugin listen on this machine only.
func (p *process) PluginToHost(network, address string) (string, string, error) {
	if network == "unix" {
		return network, address, nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return "", "", fmt.Errorf("the plugin's address %q: %w", address, err)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return "", "", errors.New("the plugin listens on " + address + ": it may listen on a unix socket or on 127.0.0.1 only")
	}
	return network, address, nil
}

// HostToPlugin changes nothing.
func (p *process) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}
