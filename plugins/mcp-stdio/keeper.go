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

// keeperWord is the argument by which a process of this binary is a keeper.
const keeperWord = "keeper"

// order is what a keeper is to run.
type order struct {
	Path   string   `json:"path"`
	Args   []string `json:"args"`
	Cwd    string   `json:"cwd"`
	Limits limits   `json:"limits"`
	// Namespace says that the keeper is the first process of a PID namespace.
	Namespace bool `json:"namespace"`
	// Probe asks only whether such a namespace works.
	Probe bool `json:"probe"`
}

// report is a line that a keeper writes: one when the program has started or has
// not, and one when it has ended.
type report struct {
	Started bool `json:"started,omitempty"`
	// Program is its process, as the keeper sees it.
	Program int    `json:"program,omitempty"`
	Error   string `json:"error,omitempty"`
	Code    int    `json:"code,omitempty"`
	Signal  string `json:"signal,omitempty"`
	// Limit says which one the program has broken.
	Limit string `json:"limit,omitempty"`
}

// starting is held while a keeper is started: until it runs its own program, it
// looks like a stray.
var starting sync.Mutex

// starter starts keepers from one OS thread that lives as long as they do: the
// kernel sends a child its death signal when the thread that started it ends.
type starter struct {
	requests  chan func()
	namespace bool
	records   records
}

// newStarter makes one that keeps its records in a folder. What a former one has
// left behind is ended first.
func newStarter(namespace bool, records records) *starter {
	records.sweep()
	s := &starter{requests: make(chan func()), records: records}
	go func() {
		runtime.LockOSThread() // never unlocked
		for f := range s.requests {
			f()
		}
	}()
	adopt()
	s.namespace = namespace && s.probe()
	return s
}

// probe says whether a keeper works in a namespace of its own here.
func (s *starter) probe() bool {
	_, err := s.launch(&order{Namespace: true, Probe: true}, nil, [3]*os.File{})
	return err == nil
}

// sandbox says what a program is kept by.
func (s *starter) sandbox(l limits) string {
	how := "group"
	if s.namespace {
		how = "namespace"
	}
	if l.Memory > 0 || l.Processes > 0 {
		how += ", limits"
	}
	return how
}

// start runs a program with these files as its stdin, stdout and stderr.
func (s *starter) start(p *program, l limits, files [3]*os.File) (*keeper, error) {
	path, err := exec.LookPath(p.Command)
	if err != nil {
		return nil, err
	}
	args := append([]string{p.Command}, p.Args...)
	return s.launch(&order{Path: path, Args: args, Cwd: p.Cwd, Limits: l, Namespace: s.namespace}, p.environment(), files)
}

// keeper is the process that keeps a program.
type keeper struct {
	cmd *exec.Cmd
	// life ends the keeper, with everything, when it is closed.
	life    *os.File
	reports *bufio.Scanner
	// ended closes when nothing is left, and final says how the program ended.
	ended chan struct{}
	final report
	// forget drops the program's record.
	forget func()
}

func (s *starter) launch(o *order, env []string, files [3]*os.File) (*keeper, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	lifeR, lifeW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer lifeR.Close()
	reportR, reportW, err := os.Pipe()
	if err != nil {
		lifeW.Close()
		return nil, err
	}
	defer reportW.Close()
	cmd := &exec.Cmd{
		Path: self, Args: []string{"mcp-stdio", keeperWord, string(text)}, Env: env,
		ExtraFiles: []*os.File{lifeR, reportW}, SysProcAttr: keeperAttributes(o.Namespace),
	}
	if files[0] != nil {
		cmd.Stdin, cmd.Stdout, cmd.Stderr = files[0], files[1], files[2]
	}
	started := make(chan error, 1)
	s.requests <- func() {
		starting.Lock()
		defer starting.Unlock()
		started <- cmd.Start()
	}
	if err := <-started; err != nil {
		lifeW.Close()
		reportR.Close()
		return nil, err
	}
	k := &keeper{cmd: cmd, life: lifeW, reports: bufio.NewScanner(reportR), ended: make(chan struct{}), forget: func() {}}
	reportW.Close() // so that the end of the keeper is the end of its reports
	first := k.next()
	if first.Program > 0 && !o.Namespace { // a namespace ends with its keeper
		k.forget = s.records.add(first.Program)
	}
	go k.wait(reportR)
	if !first.Started {
		k.life.Close()
		<-k.ended
		if first.Error == "" {
			first.Error = "its keeper did not start"
		}
		return nil, errors.New(first.Error)
	}
	return k, nil
}

func (k *keeper) next() (r report) {
	if k.reports.Scan() {
		_ = json.Unmarshal(k.reports.Bytes(), &r) // our own
	}
	return r
}

// wait sees the end of the keeper, with which everything else has ended.
func (k *keeper) wait(reports *os.File) {
	k.final = k.next()
	_ = k.cmd.Wait() // the report says more
	reports.Close()
	k.life.Close()
	killStrays()
	k.forget()
	close(k.ended)
}

func (k *keeper) pid() int { return k.cmd.Process.Pid }

// term asks the program to end.
func (k *keeper) term() { _ = k.cmd.Process.Signal(syscall.SIGTERM) }

// kill ends the program with all that it has started.
func (k *keeper) kill() { k.life.Close() }

// outcome says how the program ended: its exit code, or -1. Call it when ended has
// closed.
func (k *keeper) outcome() (code int, how string) {
	switch r := k.final; {
	case r.Limit != "":
		return -1, r.Limit
	case r.Signal != "":
		return -1, "it was ended by the signal " + r.Signal
	case r.Code != 0 || k.cmd.ProcessState.Success():
		return r.Code, fmt.Sprintf("it ended with exit code %d", r.Code)
	default:
		return -1, "its keeper ended: " + strings.TrimSpace(k.cmd.ProcessState.String())
	}
}
