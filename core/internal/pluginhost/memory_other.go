//go:build !linux

package pluginhost

// memoryOf returns 0, because the memory is unknown on this system.
func memoryOf(int) int64 { return 0 }
