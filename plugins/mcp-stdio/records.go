package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// records is a folder with a file for each program that runs without a namespace:
// should this process and the program's keeper be killed together, the next
// process ends the program. A file's name is the program's process and its start,
// by which another process that has the number now is told from it.
type records string

// add records a program. The result drops the record.
func (r records) add(pid int) (forget func()) {
	started := startOf(pid)
	if started == "" || os.MkdirAll(string(r), 0o700) != nil {
		return func() {}
	}
	name := filepath.Join(string(r), strconv.Itoa(pid)+"-"+started)
	_ = os.WriteFile(name, nil, 0o600) // without it there is one thing less
	return func() { _ = os.Remove(name) }
}

// sweep ends the programs whose records are still there, with their groups.
func (r records) sweep() {
	entries, _ := os.ReadDir(string(r)) // there may be none
	for _, e := range entries {
		number, started, _ := strings.Cut(e.Name(), "-")
		pid, err := strconv.Atoi(number)
		if err == nil && pid > 1 && started != "" && startOf(pid) == started {
			_ = syscall.Kill(-pid, syscall.SIGKILL)
		}
		_ = os.Remove(filepath.Join(string(r), e.Name()))
	}
}

// startOf is when a process started, in the kernel's ticks; empty where that is
// not known.
func startOf(pid int) string {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return ""
	}
	const startField = 19 // of those after the name
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) <= startField {
		return ""
	}
	return string(fields[startField])
}
