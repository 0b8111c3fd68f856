package pluginhost

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
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
	// sha256 is the checksum that the block requires. It is empty if the block is not pinned.
	sha256 string
	// script reports whether an interpreter executes the file.
	script bool
}

// openBinary finds a block's command in dirs, in their order, and verifies its checksum
// if the block has one. Its errors are *config.Error.
func openBinary(s *config.Block, dirs []string) (*binary, error) {
	if s.Unpinned {
		return nil, s.Problem("kind", "Missing sha256", "require_checksums requires a sha256 for every enabled plugin",
			"run agentarea plugins lock to add it")
	}
	found, err := findBinary(s, dirs)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(found.path)
	if err != nil {
		return nil, s.Problem("command", "Unreadable command", err.Error(), "")
	}
	b := &binary{file: f, sha256: s.SHA256}
	if err := b.verify(s, found.path); err != nil {
		f.Close()
		return nil, err
	}
	return b, nil
}

// verify sets the fields of b that describe its file, and compares its checksum. Its errors are *config.Error.
func (b *binary) verify(s *config.Block, path string) error {
	unreadable := func(err error) error { return s.Problem("command", "Unreadable command", err.Error(), "") }
	info, err := b.file.Stat()
	if err != nil {
		return unreadable(err)
	}
	b.program = programOf(path, info)
	start := make([]byte, 2)
	if _, err := b.file.ReadAt(start, 0); err != nil && !errors.Is(err, io.EOF) {
		return unreadable(err)
	}
	b.script = string(start) == "#!"
	if why := b.uncovered(); s.ChecksumRequired && why != "" {
		return s.Problem("command", "Script not allowed", "require_checksums covers one file, but "+path+" is "+why,
			"use a plugin that is a single executable file, or remove require_checksums")
	}
	if s.SHA256 == "" {
		return nil
	}
	got, err := b.checksum()
	if err != nil {
		return unreadable(err)
	}
	if got != s.SHA256 {
		return s.Problem("sha256", "Wrong checksum", fmt.Sprintf("%s has %s", path, got),
			"if you replaced the file on purpose, run agentarea plugins lock")
	}
	return nil
}

// uncovered returns why the checksum of the file does not cover the code that runs, or "".
func (b *binary) uncovered() string {
	if b.script {
		return "a script, whose interpreter and modules are other files"
	}
	path := b.path
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	for _, name := range []string{b.path, path} {
		name = strings.TrimRight(filepath.Base(name), "0123456789.")
		if slices.Contains(interpreters, name) {
			return "an interpreter, whose programs are other files"
		}
	}
	return ""
}

// interpreters are names of programs that execute other files, without version numbers.
var interpreters = []string{
	"bash", "bun", "busybox", "dash", "deno", "env", "java", "lua", "node", "nodejs", "npx", "perl", "php", "pwsh", "pypy",
	"python", "ruby", "sh", "uv", "uvx", "zsh",
}

// checksum returns the checksum of the file. It may be called concurrently.
func (b *binary) checksum() (string, error) {
	return checksum(io.NewSectionReader(b.file, 0, math.MaxInt64))
}

// unchanged returns nil if the process that is started next executes what was verified. The path may lead to another
// file by now. The contents of the open file may have been overwritten, and a script may have been replaced: its
// interpreter must open the path, so that the script finds the modules beside it.
func (b *binary) unchanged() error {
	info, err := b.file.Stat()
	if err != nil {
		return fmt.Errorf("check the program: %w", err)
	}
	same := programOf(b.path, info) == b.program
	if same && b.sha256 != "" {
		sum, err := b.checksum()
		if err != nil {
			return fmt.Errorf("check the program: %w", err)
		}
		same = sum == b.sha256
	}
	if same && b.execPath() == b.path {
		info, err := os.Stat(b.path)
		same = err == nil && programOf(b.path, info) == b.program
	}
	if !same {
		return &changedError{b.path}
	}
	return nil
}

// changedError is the error of a start whose program was replaced or overwritten after it was verified. The plugin
// stays down until a reload, which verifies and starts the new program.
type changedError struct{ path string }

func (e *changedError) Error() string {
	return fmt.Sprintf("its program %s was changed after the last reload; reload plugins to check and start the new one",
		e.path)
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

// execPath returns the path to execute. If it is a pinned script, its interpreter opens the
// path again, which works because extraFiles keeps the descriptor open. Another script is executed by its
// own path, so that it finds the modules beside it.
func (b *binary) execPath() string {
	if b.file == nil || !execFromDescriptor || b.script && b.sha256 == "" {
		return b.path
	}
	return "/proc/self/fd/3"
}

// extraFiles returns the files that the process inherits from descriptor 3 on.
func (b *binary) extraFiles() []*os.File {
	if b.execPath() == b.path {
		return nil
	}
	return []*os.File{b.file}
}

func (b *binary) close() {
	if b.file != nil {
		b.file.Close()
	}
}
