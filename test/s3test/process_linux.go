package s3test

import (
	"os"
	"path/filepath"
	"syscall"
)

// withParent has the server end when the test's process does, however that ends.
func withParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// hasAttributes says whether the server can keep its metadata with the files.
func hasAttributes(dir string) bool {
	name := filepath.Join(dir, ".probe")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		return false
	}
	defer os.Remove(name)
	return syscall.Setxattr(name, "user.probe", []byte("x"), 0) == nil
}
