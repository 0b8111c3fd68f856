//go:build race

package pluginhost

// slow multiplies time limits, because the race detector slows everything down.
const slow = 3
