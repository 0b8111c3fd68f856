//go:build unix && !linux

package pluginhost

import "syscall"

const execFromDescriptor = false

// processAttributes puts a plugin into its own process group. This system has no death
// signal, so a plugin exits with its server when its stdin is closed.
func processAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// reap waits until the process exits and kills its process group.
func (p *process) reap() {
	_ = p.cmd.Wait() // the result is in ProcessState
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = killGroup(p.pid)
	p.reaped = true
}

func killGroup(pid int) error { return syscall.Kill(-pid, syscall.SIGKILL) }
