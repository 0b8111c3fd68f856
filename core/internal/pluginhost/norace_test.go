//go:build !race

package pluginhost

const slow = 1
