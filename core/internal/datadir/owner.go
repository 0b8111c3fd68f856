package datadir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/agentarea/agentarea/storage/fileowner"
)

// maxOwner is the maximum length of the text that describes an owner.
const maxOwner = 1024

// owner describes this process in the messages of other processes.
func owner(dataDir string) string {
	host, err := os.Hostname()
	if err != nil {
		host = "an unknown host"
	}
	return fmt.Sprintf("process %d on %s, data dir %s, since %s",
		os.Getpid(), host, dataDir, time.Now().UTC().Format(time.RFC3339))
}

// lockFile locks the file at path, creates it if it does not exist, and writes the owner into it. If
// another process has the lock, it returns no file, and the owner that the other process wrote. The
// operating system releases the lock when the process ends, however it ends.
func lockFile(path, owner string) (file *os.File, other string, err error) {
	file, err = fileowner.Create(path)
	if errors.Is(err, fs.ErrExist) {
		// A link could make root overwrite another file.
		file, err = os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW, 0)
	}
	if err != nil {
		return nil, "", err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		other := readOwner(file)
		_ = file.Close()
		return nil, other, nil
	}
	// The text only informs, so a full disk does not keep the server from starting.
	if err := file.Truncate(0); err == nil {
		_, _ = file.WriteAt([]byte(owner+"\n"), 0)
	}
	return file, "", nil
}

// readOwner returns the text that an owner wrote. It is never empty.
func readOwner(r io.Reader) string {
	text, _ := io.ReadAll(io.LimitReader(r, maxOwner))
	for i, c := range text {
		if c < ' ' || c == 0x7f {
			text = text[:i]
			break
		}
	}
	if len(text) == 0 {
		return "an unknown process"
	}
	return string(text)
}

// DatabaseLock reserves a SQLite database for one server.
type DatabaseLock struct {
	path, owner string
	file        *os.File
	claim       io.Closer
}

// LockDatabase reserves the SQLite database at path for the server with the given data directory. The
// database need not exist, but its folder must. LockDatabase returns an error that names the other process
// if a server uses the same file, also through a symbolic link or another path.
func LockDatabase(path, dataDir string) (*DatabaseLock, error) {
	resolved, err := resolve(path)
	if err != nil {
		return nil, fmt.Errorf("lock the database %s: %w", path, err)
	}
	l := &DatabaseLock{path: resolved, owner: owner(dataDir)}
	file, other, err := lockFile(resolved+".lock", l.owner)
	if err != nil {
		return nil, fmt.Errorf("lock the database: %w", err)
	}
	if file == nil {
		return nil, fmt.Errorf("another server uses the database %s (%s): stop that server, or choose another database "+
			"with --database-url",
			resolved, other)
	}
	l.file = file
	return l, nil
}

// Claim reserves the instance, which is an id in the database. All copies of a database have the same
// instance. Claim returns an error that names the other process if a server on this machine uses a copy, or
// the same file through a hard link. It detects nothing in other network namespaces, and nothing on other
// systems than Linux.
func (l *DatabaseLock) Claim(instance string) error {
	claim, other, err := claim(instance, l.owner)
	if err != nil {
		return fmt.Errorf("reserve the database %s: %w", l.path, err)
	}
	if claim == nil {
		return fmt.Errorf("the database %s is a copy of a database that another server uses (%s): two servers would run "+
			"the same tasks and change the same stored files. Stop that server. To run both, create the copy with agentarea "+
			"backup and agentarea restore",
			l.path, other)
	}
	l.claim = claim
	return nil
}

// Close releases the database.
func (l *DatabaseLock) Close() error {
	if l.claim != nil {
		_ = l.claim.Close()
	}
	return l.file.Close()
}

// resolve returns the absolute path of a file without symbolic links. The file need not exist.
func resolve(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	for range 40 { // a link to a file that does not exist
		if target, err := os.Readlink(path); err == nil {
			if !filepath.IsAbs(target) {
				target = filepath.Join(filepath.Dir(path), target)
			}
			path = target
			continue
		}
		break
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	return filepath.Join(dir, filepath.Base(path)), err
}
