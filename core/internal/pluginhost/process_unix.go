//go:build unix && !linux

package pluginhost

import "syscall"

const execFromDescriptor = false

// processAttributes put a plugin in its own group. Without a death signal it is
// the lifeline that ends a plugin with its server.
func processAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// reap waits for the end of the process and ends what it left in its group.
func (p *process) reap() {
	_ = p.cmd.Wait() // ProcessState says how it ended
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = killGroup(p.pid)
	p.reaped = true
}

func killGroup(pid int) error { return syscall.Kill(-pid, syscall.SIGKILL) }
