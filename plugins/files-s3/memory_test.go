package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/agentarea/agentarea/sdk/files"
	"github.com/agentarea/agentarea/sdk/plugintest"
	"github.com/agentarea/agentarea/test/s3test"
)

// A Put of 300 MiB needs only the memory of a few parts.
func TestPutMemory(t *testing.T) {
	t.Parallel()
	const size, maxGrowth = 300 * mib, 32 * mib
	s := s3test.Start(t)
	p := plugintest.Start(t, files.Kind, plugintest.Command{Path: build(t), Config: configBlock(s, s.NewBucket(t), nil)})
	c := files.NewClient(p.Conn)
	before := peakMemory(t, p.Pid())
	stored, err := c.Put(t.Context(), "k", &data{size}, files.PutOptions{Size: size})
	if err != nil || stored.Size != size {
		t.Fatalf("Put() = %v", err)
	}
	if before == 0 {
		return // no /proc on this system
	}
	growth := peakMemory(t, p.Pid()) - before
	t.Logf("the memory grew by %.1f MiB", float64(growth)/mib)
	if growth > maxGrowth {
		t.Errorf("the memory grew by %d MiB, want at most %d MiB", growth/mib, maxGrowth/mib)
	}
}

// peakMemory returns the peak memory of a process in bytes, or 0 where /proc does not
// exist.
func peakMemory(tb testing.TB, pid int) int64 {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, line, _ := bytes.Cut(text, []byte("VmHWM:"))
	var kib int64
	if _, err := fmt.Sscan(string(line), &kib); err != nil {
		tb.Fatal(err)
	}
	return kib << 10
}

// data is a reader of the given number of bytes. It repeats a pattern of 8 MiB.
type data struct{ remaining int }

var pattern = bytesOf(8 * mib)

func (d *data) Read(p []byte) (int, error) {
	if d.remaining == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), d.remaining)], pattern)
	d.remaining -= n
	return n, nil
}
