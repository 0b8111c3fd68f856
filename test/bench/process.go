package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// process is a program that the bench has started.
type process struct {
	name string
	cmd  *exec.Cmd
	// log is the file with its output.
	log string
	// done is closed when it has ended.
	done chan struct{}
}

// start starts a program with its output in a file of dir. env is added to a minimal environment, so
// that the caller's settings do not affect the server.
func start(dir, name string, env []string, path string, args ...string) (*process, error) {
	p := &process{name: name, log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	out, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	// No context ends the process, because stop ends it gracefully.
	p.cmd = exec.Command(path, args...)
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir}, env...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.Dir = dir
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// stop ends the process with SIGTERM, and with SIGKILL after ten seconds.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// fault returns err with the end of the output of the process.
func (p *process) fault(err error) error {
	text, _ := os.ReadFile(p.log)
	if len(text) > 2000 {
		text = text[len(text)-2000:]
	}
	return fmt.Errorf("%s: %w; output:\n%s", p.name, err, text)
}

// await polls until ready returns nil, the process has ended, or 30 s have passed.
func (p *process) await(ctx context.Context, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return p.fault(errors.New("ended"))
		case <-ctx.Done():
			return p.fault(fmt.Errorf("not ready: %w", err))
		case <-tick.C:
		}
	}
}

// firstLine waits for the first line of output of the process.
func (p *process) firstLine(ctx context.Context) (string, error) {
	var line string
	err := p.await(ctx, func(context.Context) error {
		f, err := os.Open(p.log)
		if err != nil {
			return err
		}
		defer f.Close()
		line, err = bufio.NewReader(io.LimitReader(f, 4096)).ReadString('\n')
		return err
	})
	return strings.TrimSpace(line), err
}

// build builds a main package of this module into dir, and returns the path of the program.
func build(ctx context.Context, dir, pkg string) (string, error) {
	out := filepath.Join(dir, filepath.Base(pkg))
	text, err := exec.CommandContext(ctx, "go", "build", "-o", out, pkg).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build %s: %w\n%s", pkg, err, text)
	}
	return out, nil
}

// freeAddress returns a free loopback address.
func freeAddress(ctx context.Context) (string, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}
