//go:build !unix

package app

// freeBytes returns false: the free space is unknown on this operating system.
func freeBytes(string) (free uint64, ok bool) { return 0, false }
