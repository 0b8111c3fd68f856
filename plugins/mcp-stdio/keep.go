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

// The files of a keeper beside the program's.
const (
	lifeFile   = 3
	reportFile = 4
)

// keep is a keeper's life: it runs the program, and ends with all that is left of
// it when the program ends, a limit is broken, or the other end of life closes.
func keep(args []string) int {
	runtime.LockOSThread() // the program's death signal is of this thread
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(20)
	k := &keeping{reports: os.NewFile(reportFile, "reports")}
	syscall.CloseOnExec(lifeFile)
	syscall.CloseOnExec(reportFile)
	if len(args) != 1 || json.Unmarshal([]byte(args[0]), &k.order) != nil {
		return 2
	}
	if err := contain(&k.order); err != nil {
		return k.fail(err)
	}
	if k.order.Probe {
		k.tell(report{Started: true})
		return 0
	}
	terms := make(chan os.Signal, 1)
	signal.Notify(terms, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	if err := k.start(); err != nil {
		return k.fail(err)
	}
	k.tell(report{Started: true, Program: k.program})
	go func() {
		for range terms {
			_ = syscall.Kill(-k.program, syscall.SIGTERM)
		}
	}()
	go func() {
		_, _ = io.Copy(io.Discard, os.NewFile(lifeFile, "life"))
		k.finish(report{Signal: syscall.SIGKILL.String()})
	}()
	go k.watch()
	return k.finish(k.await())
}

type keeping struct {
	order   order
	reports *os.File
	// program is its process, and the number of its group.
	program int
	finally sync.Once
}

func (k *keeping) tell(r report) {
	line, err := json.Marshal(r)
	if err == nil {
		_, _ = k.reports.Write(append(line, '\n')) // to nobody, if that end is gone
	}
}

func (k *keeping) fail(err error) int {
	k.tell(report{Error: err.Error()})
	return 1
}

// start runs the program in a group of its own, and lets go of its files.
func (k *keeping) start() (err error) {
	if err := setLimits(&k.order.Limits); err != nil {
		return err
	}
	k.program, err = syscall.ForkExec(k.order.Path, k.order.Args, &syscall.ProcAttr{ //nolint:gosec // to run what an admin names is its purpose
		Dir: k.order.Cwd, Env: os.Environ(), Files: []uintptr{0, 1, 2}, Sys: programAttributes(),
	})
	if err != nil {
		return fmt.Errorf("run %s: %w", k.order.Path, err)
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

// await reaps whatever ends, until the program does.
func (k *keeping) await() report {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return report{Error: err.Error()}
		case pid == k.program && status.Signaled():
			return report{Signal: status.Signal().String()}
		case pid == k.program:
			return report{Code: status.ExitStatus()}
		}
	}
}

// watchEvery is how often the limits are looked at.
const watchEvery = 500 * time.Millisecond

// watch ends the program when it has more memory or processes than it may.
func (k *keeping) watch() {
	l := k.order.Limits
	if l.Memory == 0 && l.Processes == 0 {
		return
	}
	for range time.Tick(watchEvery) {
		memory, processes := usage()
		if l.Memory > 0 && memory > l.Memory {
			k.finish(report{Limit: fmt.Sprintf("it had %s of memory, and %s is the most (max_memory in plugins.hcl)", humanize.IBytes(memory), humanize.IBytes(l.Memory))})
		}
		if l.Processes > 0 && processes > l.Processes {
			k.finish(report{Limit: fmt.Sprintf("it had %d processes, and %d is the most (max_processes in plugins.hcl)", processes, l.Processes)})
		}
	}
}

// finish ends all that is left, tells how it went, and ends the keeper.
func (k *keeping) finish(r report) int {
	k.finally.Do(func() {
		killAll(k.program)
		k.tell(r)
		os.Exit(0)
	})
	select {} // the one that came first ends the process
}
