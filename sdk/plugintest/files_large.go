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
	// maxGrowth is the maximum growth of the plugin's memory during a Put and a Get of largeSize, in
	// bytes. It allows buffers for a few parts but not for the whole object.
	maxGrowth = 64 << 20
)

// large checks the memory of the plugin during a Put and a Get of 100 MiB, on systems with /proc.
func (s *checks) large(t *testing.T) {
	key := s.key(t, "k")
	before := peakMemory(s.plugin.Pid())
	sum := sha256.New()
	stored, err := s.client.Put(t.Context(), key, io.TeeReader(stream(7, largeSize), sum),
		files.PutOptions{Size: largeSize})
	if err != nil {
		t.Fatalf("Put: %v", err)
	}
	if stored.Size != largeSize || !bytes.Equal(stored.SHA256[:], sum.Sum(nil)) {
		t.Errorf("Put = %d bytes of %d, or a wrong SHA-256", stored.Size, largeSize)
	}
	r, err := s.client.Get(t.Context(), key, 0, 0)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	defer r.Close()
	back := sha256.New()
	if n, err := io.Copy(back, r); n != largeSize || err != nil || !bytes.Equal(back.Sum(nil), sum.Sum(nil)) {
		t.Errorf("Get = %d bytes of %d, or different content: %v", n, largeSize, err)
	}
	if before == 0 {
		t.Log("did not measure the memory, because there is no /proc")
		return
	}
	growth := peakMemory(s.plugin.Pid()) - before
	t.Logf("the plugin's memory grew by %d KiB", growth>>10)
	if growth > maxGrowth {
		t.Errorf("the plugin's memory grew by %d MiB during a Put and a Get of %d MiB, want at most %d MiB",
			growth>>20, largeSize>>20, maxGrowth>>20)
	}
}

// peakMemory returns the peak memory of a process in bytes, or 0 if it is unknown.
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
