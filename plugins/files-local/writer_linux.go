package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// beginWriting does not wait for the disk, and leaves errors to Sync.
func beginWriting(f *os.File, offset, n int64) {
	_ = unix.SyncFileRange(int(f.Fd()), offset, n, unix.SYNC_FILE_RANGE_WRITE)
}
