package pluginhost

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// execFromDescriptor says that a file can be executed by its descriptor, so
// that what runs is what was checked.
const execFromDescriptor = true

// processAttributes put a plugin in its own group, so that a signal to the
// server's does not reach it, and have the kernel kill it with the server.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// reap waits for the end of the process and ends what it left in its group
// before it is reaped: until then the group's number can't be another's.
func (p *process) reap() {
	awaitExit(p.cmd.Process.Pid)
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = killGroup(p.pid)
	_ = p.cmd.Wait() // ProcessState says how it ended
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
