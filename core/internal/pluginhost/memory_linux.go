package pluginhost

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// memoryOf returns the resident memory of a process and its children in bytes, or 0 if
// there is no process. Shared pages count once per process.
func memoryOf(pid int) int64 {
	if pid == 0 {
		return 0
	}
	total := residentOf(pid)
	lists, _ := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "children"))
	for _, list := range lists {
		children, _ := os.ReadFile(list) // fails if the thread has exited
		for child := range strings.FieldsSeq(string(children)) {
			if n, err := strconv.Atoi(child); err == nil {
				total += memoryOf(n)
			}
		}
	}
	return total
}

func residentOf(pid int) int64 {
	stat, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "statm")) // fails if the process has exited
	fields := strings.Fields(string(stat))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
