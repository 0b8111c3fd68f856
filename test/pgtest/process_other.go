//go:build !linux

package pgtest

import (
	"os/exec"
	"syscall"
)

func attributes(account *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: account}
}

func start(cmd *exec.Cmd) error { return cmd.Start() }
