package pluginhost

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// memoryOf is what a process and its children keep in memory, in bytes; 0 when
// there is none. Pages that processes share count for each.
func memoryOf(pid int) int64 {
	if pid == 0 {
		return 0
	}
	total := residentOf(pid)
	lists, _ := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "children"))
	for _, list := range lists {
		children, _ := os.ReadFile(list) // gone with its thread
		for child := range strings.FieldsSeq(string(children)) {
			if n, err := strconv.Atoi(child); err == nil {
				total += memoryOf(n)
			}
		}
	}
	return total
}

func residentOf(pid int) int64 {
	stat, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "statm")) // gone with its process
	fields := strings.Fields(string(stat))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
