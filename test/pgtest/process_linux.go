package pgtest

import (
	"os/exec"
	"runtime"
	"syscall"
)

// attributes have the server end with this process, whatever ends it: PostgreSQL
// shuts down at once on SIGQUIT.
func attributes(account *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGQUIT, Credential: account}
}

// start starts from a thread that stays, for Pdeathsig is of the thread.
func start(cmd *exec.Cmd) error {
	failed := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		failed <- err
		if err == nil {
			select {} // the thread lives as long as the process
		}
	}()
	return <-failed
}
