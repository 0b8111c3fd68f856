package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/dustin/go-humanize"
)

// File descriptors of a shim, in addition to those of the program.
const (
	lifelineFD = 3
	reportFD   = 4
)

// runShim is the main function of a shim. It runs the program, and exits with all its
// processes when the program exits, exceeds a limit, or the plugin closes the lifeline.
func runShim(args []string) int {
	runtime.LockOSThread() // the program's Pdeathsig refers to this thread
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(20)
	s := &shimProcess{reports: os.NewFile(reportFD, "reports")}
	syscall.CloseOnExec(lifelineFD)
	syscall.CloseOnExec(reportFD)
	if len(args) != 1 || json.Unmarshal([]byte(args[0]), &s.spec) != nil {
		return 2
	}
	if err := contain(&s.spec); err != nil {
		return s.sendError(err)
	}
	if s.spec.Probe {
		s.send(report{Started: true})
		return 0
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	if err := s.start(); err != nil {
		return s.sendError(err)
	}
	s.send(report{Started: true, Program: s.program})
	go func() {
		for range signals {
			_ = syscall.Kill(-s.program, syscall.SIGTERM)
		}
	}()
	go func() {
		_, _ = io.Copy(io.Discard, os.NewFile(lifelineFD, "lifeline"))
		s.exit(report{Signal: syscall.SIGKILL.String()})
	}()
	go s.watchLimits()
	return s.exit(s.wait())
}

// shimProcess is the state of a shim.
type shimProcess struct {
	spec    spec
	reports *os.File
	// program is the process id of the program and of its process group.
	program  int
	exitOnce sync.Once
}

// send sends a report to the plugin.
func (s *shimProcess) send(r report) {
	line, err := json.Marshal(r)
	if err == nil {
		_, _ = s.reports.Write(append(line, '\n')) // fails only if the plugin has exited
	}
}

// sendError sends an error to the plugin and returns the exit code of the shim.
func (s *shimProcess) sendError(err error) int {
	s.send(report{Error: err.Error()})
	return 1
}

// start runs the program in a new process group, and closes the shim's copies of its files.
func (s *shimProcess) start() (err error) {
	if err := setLimits(&s.spec.Limits); err != nil {
		return err
	}
	//nolint:gosec // an administrator chooses the program
	s.program, err = syscall.ForkExec(s.spec.Path, s.spec.Args, &syscall.ProcAttr{
		Dir: s.spec.Cwd, Env: os.Environ(), Files: []uintptr{0, 1, 2}, Sys: programAttributes(),
	})
	if err != nil {
		return fmt.Errorf("run %s: %w", s.spec.Path, err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	for fd := range 3 {
		if err := replaceFile(int(null.Fd()), fd); err != nil {
			return err
		}
	}
	return nil
}

// wait reaps all child processes until the program exits.
func (s *shimProcess) wait() report {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return report{Error: err.Error()}
		case pid == s.program && status.Signaled():
			return report{Signal: status.Signal().String()}
		case pid == s.program:
			return report{Code: status.ExitStatus()}
		}
	}
}

// watchInterval is the interval at which the limits are checked.
const watchInterval = 500 * time.Millisecond

// watchLimits ends the program when it exceeds the limit of memory or processes.
func (s *shimProcess) watchLimits() {
	l := s.spec.Limits
	if l.Memory == 0 && l.Processes == 0 {
		return
	}
	for range time.Tick(watchInterval) {
		memory, processes := usage()
		if l.Memory > 0 && memory > l.Memory {
			s.exit(report{Limit: fmt.Sprintf("the program used %s of memory; the limit is %s (max_memory in plugins.hcl)",
				humanize.IBytes(memory), humanize.IBytes(l.Memory))})
		}
		if l.Processes > 0 && processes > l.Processes {
			s.exit(report{Limit: fmt.Sprintf("the program had %d processes; the limit is %d (max_processes in plugins.hcl)",
				processes, l.Processes)})
		}
	}
}

// exit kills all remaining processes, sends the final report, and exits the shim.
func (s *shimProcess) exit(r report) int {
	s.exitOnce.Do(func() {
		killAll(s.program)
		s.send(r)
		os.Exit(0)
	})
	select {} // another goroutine exits the process
}
