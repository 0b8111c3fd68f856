package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// shimAttributes returns the process attributes of a shim. The kernel kills a shim in a
// namespace, and with it everything in the namespace, when this process exits.
func shimAttributes(namespace bool) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true}
	if !namespace {
		return a // no Pdeathsig: the shim must survive this process to kill the program
	}
	a.Pdeathsig = syscall.SIGKILL
	a.Cloneflags = unix.CLONE_NEWPID | unix.CLONE_NEWNS
	if os.Geteuid() != 0 {
		a.Cloneflags |= unix.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}}
	}
	return a
}

// programAttributes returns the process attributes of a program, which the kernel kills
// when its shim exits.
func programAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// contain makes the shim the parent of all processes that its program leaves behind.
func contain(s *spec) error {
	if !s.Namespace {
		return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	}
	if os.Getpid() != 1 {
		return fmt.Errorf("no PID namespace")
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	return nil
}

// setLimits limits the open files of this process and its children, and disables core
// dumps.
func setLimits(l *limits) error {
	var current unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &current); err != nil {
		return err
	}
	files := min(uint64(l.Files), current.Max) //nolint:gosec // at least 64
	// With syscall.Setrlimit, Go does not reset the limit in a new process.
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: files, Max: files}); err != nil {
		return err
	}
	return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
}

// replaceFile duplicates a file descriptor onto another.
func replaceFile(from, to int) error { return unix.Dup3(from, to, 0) }

// process is an entry of /proc. A zombie may still have children: its first thread has
// exited, and others have not.
type process struct {
	pid, parent int
	zombie      bool
}

// processes returns all processes.
func processes() []process {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	var all []process
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + name + "/stat")
		if err != nil {
			continue // the process has exited
		}
		// The name is in parentheses and may contain any character.
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) < 2 {
			continue
		}
		parent, err := strconv.Atoi(string(fields[1]))
		if err == nil {
			all = append(all, process{pid, parent, fields[0][0] == 'Z'})
		}
	}
	return all
}

// descendants returns the descendants of a process, including zombies.
func descendants(root int) []process {
	all := processes()
	found := []process{{pid: root}}
	seen := map[int]bool{root: true}
	for i := 0; i < len(found); i++ {
		for _, p := range all {
			if p.parent == found[i].pid && !seen[p.pid] {
				seen[p.pid] = true
				found = append(found, p)
			}
		}
	}
	return found[1:]
}

// usage returns the memory in bytes, without mapped files, and the number of the
// descendants of this process.
func usage() (memory uint64, processes int) {
	page := uint64(os.Getpagesize()) //nolint:gosec // positive
	for _, p := range descendants(os.Getpid()) {
		if p.zombie {
			continue
		}
		processes++
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.pid))
		if err != nil {
			continue // the process has exited
		}
		var size, resident, shared uint64
		if _, err := fmt.Sscan(string(text), &size, &resident, &shared); err == nil && resident > shared {
			memory += (resident - shared) * page
		}
	}
	return memory, processes
}

// killTimeout is the maximum time for killAll to kill processes that keep forking.
const killTimeout = 3 * time.Second

// killAll kills all descendants of this process. None can escape, because a process that
// loses its parent becomes a child of this process.
func killAll(int) {
	for deadline := time.Now().Add(killTimeout); time.Now().Before(deadline); {
		found := descendants(os.Getpid())
		if len(found) == 0 {
			return
		}
		for _, p := range found {
			_ = unix.Kill(p.pid, unix.SIGKILL)
		}
		for {
			if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
		time.Sleep(time.Millisecond)
	}
}

// becomeSubreaper makes this process the parent of the processes that a killed shim leaves
// behind. It ignores errors, because the containment works without it in all other cases.
func becomeSubreaper() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// killOrphans kills the children of this process that are not shims, and their descendants.
func killOrphans() {
	startMu.Lock()
	defer startMu.Unlock()
	for _, p := range processes() {
		if p.parent != os.Getpid() {
			continue
		}
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.pid))
		if err != nil || len(line) == 0 || bytes.HasPrefix(line, []byte("mcp-stdio\x00"+shimArg+"\x00")) {
			continue
		}
		for _, p := range append(descendants(p.pid), p) {
			_ = unix.Kill(p.pid, unix.SIGKILL)
		}
		_, _ = unix.Wait4(p.pid, nil, 0, nil)
	}
}
