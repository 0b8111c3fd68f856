package pluginhost

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	socketsPattern = "agentarea-*"
	socketsLock    = "plugins.lock"
	// A directory that is not locked yet has this prefix in its name.
	newSocketsPrefix  = ".new-"
	newSocketsPattern = newSocketsPrefix + socketsPattern
	// maxSocketRoot is the longest root directory for sockets, in bytes. The
	// shortest path limit of supported systems is 104 bytes with a NUL. It must
	// also hold two random names by go-plugin and one by the host.
	maxSocketRoot = 103 - len("/agentarea-4294967295/plugin-dir4294967295/plugin4294967295")
)

// sockets is the directory with the sockets of this process's plugins.
type sockets struct {
	dir  string
	lock *os.File
}

// openSockets creates a directory for sockets under the data directory, or under a
// temporary one if the path would be too long. It removes directories of exited servers.
func openSockets(dataDir string) (*sockets, error) {
	root, err := socketRoot(dataDir)
	if err != nil {
		return nil, err
	}
	sweepSockets(root)
	// Another server removes a directory whose lock is free, so the directory gets the name that others look
	// for only when it is locked.
	dir, err := os.MkdirTemp(root, newSocketsPattern) // mode 0700
	if err != nil {
		return nil, fmt.Errorf("create a directory for plugin sockets: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, socketsLock), os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	final := filepath.Join(root, strings.TrimPrefix(filepath.Base(dir), newSocketsPrefix))
	if err == nil {
		err = os.Rename(dir, final)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock the directory of plugin sockets: %w", err), os.RemoveAll(dir))
	}
	return &sockets{dir: final, lock: lock}, nil
}

func socketRoot(dataDir string) (string, error) {
	if dataDir != "" {
		dir, err := filepath.Abs(filepath.Join(dataDir, "run"))
		if err != nil {
			return "", fmt.Errorf("find the data directory: %w", err)
		}
		if len(dir) <= maxSocketRoot {
			return dir, os.MkdirAll(dir, 0o700)
		}
	}
	if dir := os.TempDir(); filepath.IsAbs(dir) && len(dir) <= maxSocketRoot {
		return dir, nil
	}
	return "/tmp", nil
}

// sweepSockets removes the directories whose lock is free, because their servers have
// exited.
func sweepSockets(root string) {
	locks, _ := filepath.Glob(filepath.Join(root, socketsPattern, socketsLock))
	for _, path := range locks {
		f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW, 0)
		if err != nil {
			continue // belongs to another user
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_ = os.RemoveAll(filepath.Dir(path)) // the next start tries again
		}
		f.Close()
	}
}

func (s *sockets) remove() error {
	defer s.lock.Close()
	return os.RemoveAll(s.dir)
}
