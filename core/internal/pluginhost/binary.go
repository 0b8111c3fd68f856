package pluginhost

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/agentarea/agentarea/core/internal/config"
)

// program identifies a file by its path and metadata, so that a replaced file differs.
type program struct {
	path     string
	device   uint64
	inode    uint64
	size     int64
	modified time.Time
}

// binary is a plugin's program after it was found and checked. If file is set, it is the
// file whose checksum was compared, and it is the one that is executed.
type binary struct {
	program
	file *os.File
}

// openBinary finds a block's command in dirs, in their order, and verifies its checksum
// if the block has one. Its errors are *config.Error.
func openBinary(s *config.Block, dirs []string) (*binary, error) {
	if s.Unpinned {
		return nil, s.Problem("kind", "Missing sha256", "require_checksums requires a sha256 for every enabled plugin",
			"run agentarea plugins lock to add it")
	}
	found, err := findBinary(s, dirs)
	if err != nil || s.SHA256 == "" {
		return &binary{program: found}, err
	}
	path := found.path
	f, err := os.Open(path)
	if err != nil {
		return nil, s.Problem("command", "Unreadable command", err.Error(), "")
	}
	got, err := checksum(f)
	if err != nil {
		f.Close()
		return nil, s.Problem("command", "Unreadable command", err.Error(), "")
	}
	if got != s.SHA256 {
		f.Close()
		return nil, s.Problem("sha256", "Wrong checksum", fmt.Sprintf("%s has %s", path, got),
			"if you replaced the file on purpose, write this checksum")
	}
	return &binary{program: found, file: f}, nil
}

func checksum(r io.Reader) (string, error) {
	h := sha256.New()
	_, err := io.Copy(h, r)
	return hex.EncodeToString(h.Sum(nil)), err
}

// Checksum returns the SHA-256 of the file at path, in the form of a block's sha256.
func Checksum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read the plugin: %w", err)
	}
	defer f.Close()
	sum, err := checksum(f)
	if err != nil {
		return "", fmt.Errorf("read the plugin: %w", err)
	}
	return sum, nil
}

func findBinary(s *config.Block, dirs []string) (program, error) {
	for _, dir := range dirs {
		path := filepath.Join(dir, s.Command)
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return program{}, s.Problem("command", "Unreadable command", err.Error(), "")
		case !info.Mode().IsRegular():
			return program{}, s.Problem("command", "Invalid command", path+" is not a regular file", "")
		case info.Mode().Perm()&0o111 == 0:
			return program{}, s.Problem("command", "Invalid command", path+" is not executable", "chmod +x "+path)
		}
		return programOf(path, info), nil
	}
	return program{}, s.Problem("command", fmt.Sprintf("Command %q not found", s.Command),
		"searched in "+strings.Join(dirs, ", "), "build it there, or add its directory to plugin_dirs")
}

func programOf(path string, info fs.FileInfo) program {
	p := program{path: path, size: info.Size(), modified: info.ModTime()}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		p.device, p.inode = uint64(stat.Dev), stat.Ino //nolint:unconvert // the type depends on the system
	}
	return p
}

// execPath returns the path to execute. If it is a script, its interpreter opens the
// path again, which works because extraFiles keeps the descriptor open.
func (b *binary) execPath() string {
	if b.file == nil || !execFromDescriptor {
		return b.path
	}
	return "/proc/self/fd/3"
}

// extraFiles returns the files that the process inherits from descriptor 3 on.
func (b *binary) extraFiles() []*os.File {
	if b.file == nil || !execFromDescriptor {
		return nil
	}
	return []*os.File{b.file}
}

func (b *binary) close() {
	if b.file != nil {
		b.file.Close()
	}
}
