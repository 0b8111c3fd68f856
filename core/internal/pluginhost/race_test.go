//go:build race

package pluginhost

// slow stretches limits where the detector slows everything down.
const slow = 3
