//go:build unix

package app

import "golang.org/x/sys/unix"

// freeBytes returns the number of bytes that the server can write to the disk of a folder. ok is false if
// it is unknown.
func freeBytes(folder string) (free uint64, ok bool) {
	var s unix.Statfs_t
	if unix.Statfs(folder, &s) != nil || s.Bsize < 0 {
		return 0, false
	}
	return uint64(s.Bavail) * uint64(s.Bsize), true
}
