package s3test

import (
	"os"
	"path/filepath"
	"syscall"
)

// withParent returns process attributes with which the server ends when the test's process ends.
func withParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// hasAttributes reports whether the folder supports extended attributes, in which the server keeps metadata.
func hasAttributes(dir string) bool {
	name := filepath.Join(dir, ".probe")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		return false
	}
	defer os.Remove(name)
	return syscall.Setxattr(name, "user.probe", []byte("x"), 0) == nil
}
