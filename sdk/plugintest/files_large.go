package plugintest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/agentarea/agentarea/sdk/files"
)

const (
	largeSize = 100 << 20
	// maxGrowth is what the plugin's memory may grow by in a Put and a Get of
	// that size, in bytes: buffers of a few parts, but not the file.
	maxGrowth = 64 << 20
)

// large puts and gets 100 MB, and looks at the plugin's memory where /proc shows it.
func (s *checks) large(t *testing.T) {
	key := s.key(t, "k")
	before := peakMemory(s.plugin.Pid())
	sum := sha256.New()
	stored, err := s.client.Put(t.Context(), key, io.TeeReader(stream(7, largeSize), sum), files.PutOptions{Size: largeSize})
	if err != nil {
		t.Fatalf("Put: %v", err)
	}
	if stored.Size != largeSize || !bytes.Equal(stored.SHA256[:], sum.Sum(nil)) {
		t.Errorf("Put kept %d bytes of %d with another SHA-256", stored.Size, largeSize)
	}
	r, err := s.client.Get(t.Context(), key, 0, 0)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	defer r.Close()
	back := sha256.New()
	if n, err := io.Copy(back, r); n != largeSize || err != nil || !bytes.Equal(back.Sum(nil), sum.Sum(nil)) {
		t.Errorf("Get gave %d bytes of %d with another SHA-256: %v", n, largeSize, err)
	}
	if before == 0 {
		t.Log("the plugin's memory was not measured: no /proc here")
		return
	}
	growth := peakMemory(s.plugin.Pid()) - before
	t.Logf("the plugin's memory grew by %d KiB", growth>>10)
	if growth > maxGrowth {
		t.Errorf("the plugin's memory grew by %d MiB in a Put and a Get of %d MiB; %d MiB are the most", growth>>20, largeSize>>20, maxGrowth>>20)
	}
}

// peakMemory is the most that a process has held, in bytes; 0 where nobody tells.
func peakMemory(pid int) int64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, line, found := bytes.Cut(data, []byte("VmHWM:"))
	var kib int64
	if _, err := fmt.Sscan(string(line), &kib); !found || err != nil {
		return 0
	}
	return kib << 10
}
