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

// keeperAttributes have the kernel kill a keeper when this process ends, and with
// it, in a namespace, everything in there.
func keeperAttributes(namespace bool) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true}
	if !namespace {
		return a // it must live on for a moment, to end what it keeps
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

func programAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// contain makes a keeper the parent of all that its program leaves behind.
func contain(o *order) error {
	if !o.Namespace {
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

func setLimits(l *limits) error {
	var now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &now); err != nil {
		return err
	}
	files := min(uint64(l.Files), now.Max) //nolint:gosec // at least 64
	// syscall's, for then Go leaves it as it is at an exec.
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: files, Max: files}); err != nil {
		return err
	}
	return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
}

func replaceFile(from, to int) error { return unix.Dup3(from, to, 0) }

// process is one of /proc. A zombie may still have children: it is the first thread
// that has ended, and others of the process have not.
type process struct {
	pid, parent int
	zombie      bool
}

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
			continue // it has ended
		}
		// The name stands in brackets and may hold anything.
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

// descendants are the processes below one, the zombies among them.
func descendants(of int) []process {
	all := processes()
	below := []process{{pid: of}}
	known := map[int]bool{of: true}
	for i := 0; i < len(below); i++ {
		for _, p := range all {
			if p.parent == below[i].pid && !known[p.pid] {
				known[p.pid] = true
				below = append(below, p)
			}
		}
	}
	return below[1:]
}

// usage is the memory in bytes, but for what files are mapped, and the number of
// the processes below this one.
func usage() (memory uint64, processes int) {
	page := uint64(os.Getpagesize()) //nolint:gosec // positive
	for _, p := range descendants(os.Getpid()) {
		if p.zombie {
			continue
		}
		processes++
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.pid))
		if err != nil {
			continue // it has ended
		}
		var size, resident, shared uint64
		if _, err := fmt.Sscan(string(text), &size, &resident, &shared); err == nil && resident > shared {
			memory += (resident - shared) * page
		}
	}
	return memory, processes
}

// killTime bounds how long processes are killed that make new ones.
const killTime = 3 * time.Second

// killAll ends everything below this process. Nothing can get away, for what loses
// its parent becomes a child of this process.
func killAll(int) {
	for deadline := time.Now().Add(killTime); time.Now().Before(deadline); {
		below := descendants(os.Getpid())
		if len(below) == 0 {
			return
		}
		for _, p := range below {
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

// adopt makes this process the parent of what a keeper that was killed leaves behind.
func adopt() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) } // then there is one thing less

// killStrays ends the children that are no keepers.
func killStrays() {
	starting.Lock()
	defer starting.Unlock()
	for _, p := range processes() {
		if p.parent != os.Getpid() {
			continue
		}
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.pid))
		if err != nil || len(line) == 0 || bytes.HasPrefix(line, []byte("mcp-stdio\x00"+keeperWord+"\x00")) {
			continue
		}
		for _, p := range append(descendants(p.pid), p) {
			_ = unix.Kill(p.pid, unix.SIGKILL)
		}
		_, _ = unix.Wait4(p.pid, nil, 0, nil)
	}
}
