package pgtest

import (
	"os/exec"
	"runtime"
	"syscall"
)

// attributes returns process attributes with which the server ends when this process ends,
// for any reason. PostgreSQL shuts down immediately on SIGQUIT.
func attributes(account *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGQUIT, Credential: account}
}

// start starts the command from a thread that lives as long as the process, because Pdeathsig
// is sent when the starting thread ends.
func start(cmd *exec.Cmd) error {
	failed := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		failed <- err
		if err == nil {
			select {}
		}
	}()
	return <-failed
}
