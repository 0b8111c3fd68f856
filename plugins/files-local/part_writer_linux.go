package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// startFlush asks the system to start writing a range to the disk. It does not wait, and
// leaves errors to Sync.
func startFlush(f *os.File, offset, n int64) {
	_ = unix.SyncFileRange(int(f.Fd()), offset, n, unix.SYNC_FILE_RANGE_WRITE)
}
