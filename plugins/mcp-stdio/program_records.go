package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// records is a folder with a file for each program that runs without a namespace. If the
// plugin and the program's shim are killed together, the next plugin process kills the
// program. The name of a file has the process id and the start time, which distinguishes a
// program from a later process with the same id.
type records string

// add records a program and returns a function that removes the record.
func (r records) add(pid int) (remove func()) {
	startTime := processStart(pid)
	if startTime == "" || os.MkdirAll(string(r), 0o700) != nil {
		return func() {}
	}
	name := filepath.Join(string(r), strconv.Itoa(pid)+"-"+startTime)
	_ = os.WriteFile(name, nil, 0o600) // the record is only a last resort
	return func() { _ = os.Remove(name) }
}

// sweep kills the recorded programs with their process groups, and removes the records.
func (r records) sweep() {
	entries, _ := os.ReadDir(string(r)) // the folder may not exist
	for _, e := range entries {
		number, startTime, _ := strings.Cut(e.Name(), "-")
		pid, err := strconv.Atoi(number)
		if err == nil && pid > 1 && startTime != "" && processStart(pid) == startTime {
			_ = syscall.Kill(-pid, syscall.SIGKILL)
		}
		_ = os.Remove(filepath.Join(string(r), e.Name()))
	}
}

// processStart returns the start time of a process in clock ticks, or an empty string if it
// is unknown.
func processStart(pid int) string {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return ""
	}
	const startField = 19 // counted after the name
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) <= startField {
		return ""
	}
	return string(fields[startField])
}
