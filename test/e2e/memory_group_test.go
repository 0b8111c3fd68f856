package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// memoryLimit is the memory of a server and its plugins, in bytes.
const memoryLimit = 1 << 30

// memoryGroup is the memory limit of a server and its plugins: a control group of Linux where the machine allows to
// create one, and GOMEMLIMIT otherwise.
type memoryGroup struct {
	// dir is the folder of the control group, or empty without one.
	dir string
	// counter is the file in dir that has a line with the number of processes that the kernel has killed.
	counter string
}

// limitMemory limits the memory of a server that does not run yet.
func limitMemory(t *testing.T, s *server) *memoryGroup {
	t.Helper()
	g, err := newMemoryGroup(t)
	if err != nil {
		t.Logf("there is no control group, so GOMEMLIMIT limits the memory: %v", err)
		s.env = append(s.env, fmt.Sprint("GOMEMLIMIT=", memoryLimit/2))
		return g
	}
	// The program must start in the group, because it reads its limit.
	bin := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\necho $$ > '%s/cgroup.procs' && exec '%s/agentarea' \"$@\"\n", g.dir, s.bin)
	if err := os.WriteFile(filepath.Join(bin, "agentarea"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	s.bin = bin
	return g
}

// newMemoryGroup creates a control group for the test. Version 2 has one tree of groups, version 1 has one for memory.
func newMemoryGroup(t *testing.T) (*memoryGroup, error) {
	t.Helper()
	name := fmt.Sprint("agentarea-test-", os.Getpid())
	var err error
	for _, version := range []struct{ tree, limit, counter string }{
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.oom_control"},
		{"/sys/fs/cgroup", "memory.max", "memory.events"},
	} {
		g := &memoryGroup{dir: filepath.Join(version.tree, name), counter: version.counter}
		if err = os.Mkdir(g.dir, 0o700); err != nil {
			continue
		}
		t.Cleanup(func() {
			eventually(t, "the end of the processes in "+g.dir, func() bool { return os.Remove(g.dir) == nil })
		})
		// The file exists only if the tree limits memory, so it must not be created.
		var limit *os.File
		if limit, err = os.OpenFile(filepath.Join(g.dir, version.limit), os.O_WRONLY, 0); err != nil {
			continue
		}
		_, err = limit.WriteString(strconv.Itoa(memoryLimit))
		_ = limit.Close()
		if err == nil {
			return g, nil
		}
	}
	return &memoryGroup{}, err
}

// killed returns the number of processes in the group that the kernel has killed because of the limit.
func (g *memoryGroup) killed(t *testing.T) int {
	t.Helper()
	if g.dir == "" {
		return 0
	}
	text, err := os.ReadFile(filepath.Join(g.dir, g.counter))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if name, n, _ := strings.Cut(strings.TrimSpace(line), " "); name == "oom_kill" {
			killed, err := strconv.Atoi(n)
			if err != nil {
				t.Fatal(err)
			}
			return killed
		}
	}
	return 0
}
