package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tree returns pid and its descendants, from /proc.
func tree(pid int) ([]int, error) {
	entries, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	children := map[int][]int{}
	for _, path := range entries {
		fields, err := statFields(path)
		if err != nil {
			continue // it has ended meanwhile
		}
		child, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		parent, _ := strconv.Atoi(fields[1])
		children[parent] = append(children[parent], child)
	}
	pids := []int{pid}
	for i := 0; i < len(pids); i++ {
		pids = append(pids, children[pids[i]]...)
	}
	return pids, nil
}

// statFields returns the fields of /proc/PID/stat from the state on. The name before them is in
// parentheses and may contain any character.
func statFields(path string) ([]string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 13 {
		return nil, fmt.Errorf("%s: too short", path)
	}
	return fields, nil
}

// cpuTime returns the CPU time that a process and its descendants have used so far.
func cpuTime(pid int) (time.Duration, error) {
	pids, err := tree(pid)
	if err != nil {
		return 0, err
	}
	var ticks int64
	for _, p := range pids {
		fields, err := statFields(fmt.Sprintf("/proc/%d/stat", p))
		if err != nil {
			return 0, err
		}
		for _, f := range fields[11:13] { // utime and stime
			n, err := strconv.ParseInt(f, 10, 64)
			if err != nil {
				return 0, err
			}
			ticks += n
		}
	}
	// The unit is a hundredth of a second on every platform of Linux.
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// usage is the memory of one process, in KiB. RSS has all memory that is shared with other processes,
// PSS only a proportional part of it.
type usage struct {
	name     string
	rss, pss int64
}

// memoryOf returns the memory of pid and its descendants, with their sum at the end.
func memoryOf(pid int) ([]usage, error) {
	pids, err := tree(pid)
	if err != nil {
		return nil, err
	}
	all := usage{name: "all"}
	var list []usage
	for _, p := range pids {
		u, err := readUsage(p)
		if err != nil {
			return nil, err
		}
		list = append(list, u)
		all.rss += u.rss
		all.pss += u.pss
	}
	slices.SortStableFunc(list[1:], func(a, b usage) int { return strings.Compare(a.name, b.name) })
	return append(list, all), nil
}

func readUsage(pid int) (usage, error) {
	var u usage
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return u, err
	}
	command, _, _ := strings.Cut(string(name), "\x00")
	u.name = filepath.Base(command)
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return u, err
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "Rss:":
			u.rss, err = strconv.ParseInt(f[1], 10, 64)
		case "Pss:":
			u.pss, err = strconv.ParseInt(f[1], 10, 64)
		}
		if err != nil {
			return u, err
		}
	}
	return u, nil
}

// watchMemory measures memory repeatedly until stop is called. stop returns the measurement with the
// largest sum.
func watchMemory(ctx context.Context, pid int) (stop func() []usage) {
	ctx, cancel := context.WithCancel(ctx)
	found := make(chan []usage)
	go func() {
		var peak []usage
		for sleep(ctx, 250*time.Millisecond) {
			if list, err := memoryOf(pid); err == nil && (peak == nil || list[len(list)-1].rss > peak[len(peak)-1].rss) {
				peak = list
			}
		}
		found <- peak
	}()
	return func() []usage {
		cancel()
		return <-found
	}
}

func describeMachine() {
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		load = []byte("unknown")
	}
	fmt.Printf("%s/%s, %d cores, %s, load average before: %s\n",
		runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(),
		strings.Join(strings.Fields(string(load))[:1], " "))
}
