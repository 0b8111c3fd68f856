package pluginhost

import (
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
)

// limitMemory kills the process when it and its children use more than the block's max_memory. It returns when
// the process has exited. Where the system does not tell the memory of a process, it does nothing.
func (i *instance) limitMemory() {
	ticks := time.NewTicker(i.timing.MemoryEvery)
	defer ticks.Stop()
	for {
		select {
		case <-i.proc.exited:
			return
		case <-ticks.C:
		}
		if used := memoryOf(i.proc.cmd.Process.Pid); used > int64(i.block.MaxMemory) {
			i.proc.kill(fmt.Sprintf("killed because it used %s of memory, which is more than its max_memory of %s",
				humanize.Bytes(uint64(used)), humanize.Bytes(uint64(i.block.MaxMemory)))) //nolint:gosec // not negative
			return
		}
	}
}
