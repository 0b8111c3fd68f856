package pluginhost

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// execFromDescriptor reports whether a file can be executed through its descriptor. The
// executed file is then the checked file, even if its path was replaced.
const execFromDescriptor = true

// processAttributes puts a plugin into its own process group, so that it does not receive
// signals to the server's group. The kernel kills the plugin when the server exits.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// reap waits until the process exits and kills its process group before it reaps the
// process: until then, the group's number cannot be reused.
func (p *process) reap() {
	awaitExit(p.cmd.Process.Pid)
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = killGroup(p.pid)
	_ = p.cmd.Wait() // the result is in ProcessState
	p.reaped = true
}

func awaitExit(pid int) {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

func killGroup(pid int) error { return unix.Kill(-pid, unix.SIGKILL) }
