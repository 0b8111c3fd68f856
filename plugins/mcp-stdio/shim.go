package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
)

// shimArg is the first argument of a process of this binary that is a shim.
const shimArg = "shim"

// spec describes the program that a shim runs.
type spec struct {
	Path   string   `json:"path"`
	Args   []string `json:"args"`
	Cwd    string   `json:"cwd"`
	Limits limits   `json:"limits"`
	// Namespace is set if the shim is the first process of a PID namespace.
	Namespace bool `json:"namespace"`
	// Probe is set to check whether such a namespace works, without running a program.
	Probe bool `json:"probe"`
}

// report is a line that a shim writes: one when the program has started or failed to start,
// and one when it has exited.
type report struct {
	Started bool `json:"started,omitempty"`
	// Program is the program's process id in the shim's namespace.
	Program int    `json:"program,omitempty"`
	Error   string `json:"error,omitempty"`
	Code    int    `json:"code,omitempty"`
	Signal  string `json:"signal,omitempty"`
	// Limit describes the limit that the program has exceeded.
	Limit string `json:"limit,omitempty"`
}

// startMu is held while a shim is started. Before its exec, the new process looks like an
// orphan to killOrphans.
var startMu sync.Mutex

// starter starts shims from an OS thread that lives as long as the plugin. The kernel sends
// Pdeathsig to a child when the thread that started it exits.
type starter struct {
	requests  chan func()
	namespace bool
	records   records
}

// newStarter returns a starter that keeps its records in a folder. It first kills the
// programs that an earlier process has left behind.
func newStarter(namespace bool, records records) *starter {
	records.sweep()
	s := &starter{requests: make(chan func()), records: records}
	go func() {
		runtime.LockOSThread() // never unlocked
		for f := range s.requests {
			f()
		}
	}()
	becomeSubreaper()
	s.namespace = namespace && s.probe()
	return s
}

// probe reports whether a shim can run in its own namespace on this machine.
func (s *starter) probe() bool {
	_, err := s.launch(&spec{Namespace: true, Probe: true}, nil, [3]*os.File{})
	return err == nil
}

// sandbox describes how programs are contained.
func (s *starter) sandbox(l limits) string {
	mode := "group"
	if s.namespace {
		mode = "namespace"
	}
	if l.Memory > 0 || l.Processes > 0 {
		mode += ", limits"
	}
	return mode
}

// start runs a program with the given stdin, stdout and stderr.
func (s *starter) start(p *program, l limits, files [3]*os.File) (*shim, error) {
	path, err := exec.LookPath(p.Command)
	if err != nil {
		return nil, err
	}
	args := append([]string{p.Command}, p.Args...)
	return s.launch(&spec{Path: path, Args: args, Cwd: p.Cwd, Limits: l, Namespace: s.namespace}, p.environment(), files)
}

// shim is a handle of the process that runs a program and kills what it leaves behind.
type shim struct {
	cmd *exec.Cmd
	// Closing lifeline kills the shim and all its processes.
	lifeline *os.File
	reports  *bufio.Scanner
	// exited is closed when no process is left. final describes how the program exited.
	exited chan struct{}
	final  report
	// removeRecord removes the program's record.
	removeRecord func()
}

// launch starts a shim and waits for its first report.
func (s *starter) launch(sp *spec, env []string, files [3]*os.File) (*shim, error) {
	self, err := ownProgram()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(sp)
	if err != nil {
		return nil, err
	}
	lifelineR, lifelineW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer lifelineR.Close()
	reportR, reportW, err := os.Pipe()
	if err != nil {
		lifelineW.Close()
		return nil, err
	}
	defer reportW.Close()
	cmd := &exec.Cmd{
		Path: self, Args: []string{"mcp-stdio", shimArg, string(text)}, Env: env,
		ExtraFiles: []*os.File{lifelineR, reportW}, SysProcAttr: shimAttributes(sp.Namespace),
	}
	if files[0] != nil {
		cmd.Stdin, cmd.Stdout, cmd.Stderr = files[0], files[1], files[2]
	}
	started := make(chan error, 1)
	s.requests <- func() {
		startMu.Lock()
		defer startMu.Unlock()
		started <- cmd.Start()
	}
	if err := <-started; err != nil {
		lifelineW.Close()
		reportR.Close()
		return nil, err
	}
	sh := &shim{
		cmd: cmd, lifeline: lifelineW, reports: bufio.NewScanner(reportR), exited: make(chan struct{}),
		removeRecord: func() {},
	}
	reportW.Close() // so that the reports end when the shim exits
	first := sh.nextReport()
	if first.Program > 0 && !sp.Namespace { // without a namespace the program could outlive its shim
		sh.removeRecord = s.records.add(first.Program)
	}
	go sh.wait(reportR)
	if !first.Started {
		sh.lifeline.Close()
		<-sh.exited
		if first.Error == "" {
			first.Error = "the shim process did not start"
		}
		return nil, errors.New(first.Error)
	}
	return sh, nil
}

// nextReport returns the next report, or the zero value at the end.
func (sh *shim) nextReport() (r report) {
	if sh.reports.Scan() {
		_ = json.Unmarshal(sh.reports.Bytes(), &r) // written by runShim
	}
	return r
}

// wait waits for the end of the shim and of all its processes.
func (sh *shim) wait(reports *os.File) {
	sh.final = sh.nextReport()
	_ = sh.cmd.Wait() // the report has more detail
	reports.Close()
	sh.lifeline.Close()
	killOrphans()
	sh.removeRecord()
	close(sh.exited)
}

// pid returns the process id of the shim.
func (sh *shim) pid() int { return sh.cmd.Process.Pid }

// term sends SIGTERM to the program.
func (sh *shim) term() { _ = sh.cmd.Process.Signal(syscall.SIGTERM) }

// kill kills the program and all processes that it has started.
func (sh *shim) kill() { sh.lifeline.Close() }

// exitStatus returns the exit code, or -1, and a description. It must be called after
// exited is closed.
func (sh *shim) exitStatus() (code int, reason string) {
	switch r := sh.final; {
	case r.Limit != "":
		return -1, r.Limit
	case r.Signal != "":
		return -1, "the program was terminated by signal: " + r.Signal
	case r.Code != 0 || sh.cmd.ProcessState.Success():
		return r.Code, fmt.Sprintf("the program exited with code %d", r.Code)
	default:
		return -1, "the shim process exited: " + strings.TrimSpace(sh.cmd.ProcessState.String())
	}
}
