package e2e_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/test/testenv"
)

// maxGrowth is the maximum growth of a process's memory for a file of any size, in KiB.
const maxGrowth = 32 << 10

// Neither the server nor the backend keeps a big file in memory.
func TestBigFile(t *testing.T) {
	testenv.Linux(t)
	bigFile := int64(testenv.Rounds(64<<20, 1<<30))
	s := newServer(t, "plugin \"files\" \"local\" {\n  command = \"files-local\"\n}\n")
	s.start()
	c := s.signIn()
	c.checkDownload(c.upload("small", randomBytes(1, 1<<20)))
	pids := map[string]int{"server": s.cmd.Process.Pid, "files-local": c.plugin("files", "local").PID}
	sent := &pattern{left: bigFile, block: randomBytes(2, 1<<20), hash: sha256.New()}
	increase := growth(t, pids, func() {
		began := time.Now()
		made := decode[file](t, c.send(filePart("big", sent)).want(t, 201))
		t.Logf("%d MB sent in %s", bigFile/1e6, time.Since(began).Round(time.Millisecond))
		want := hex.EncodeToString(sent.hash.Sum(nil))
		if made.Size != bigFile || made.SHA256 != want {
			t.Errorf("upload of %d bytes with SHA-256 %s returns %+v", bigFile, want, made)
		}
		began = time.Now()
		n, got := c.downloadSum(made.ID)
		t.Logf("%d MB fetched in %s", n/1e6, time.Since(began).Round(time.Millisecond))
		if n != made.Size || got != want {
			t.Errorf("the download has %d bytes and SHA-256 %s", n, got)
		}
	})
	for name, kib := range increase {
		t.Logf("%s grew by %d KiB", name, kib)
		if kib > maxGrowth {
			t.Errorf("%s grew by %d KiB, want at most %d", name, kib, maxGrowth)
		}
	}
}

// growth calls do and returns how much the largest resident size of each process grew, in KiB.
func growth(t *testing.T, pids map[string]int, do func()) map[string]int {
	t.Helper()
	before := map[string]int{}
	for name, pid := range pids {
		// Writing 5 resets the largest resident size.
		if err := os.WriteFile(filepath.Join("/proc", itoa(pid), "clear_refs"), []byte("5"), 0); err != nil {
			t.Fatal(err)
		}
		before[name] = memory(t, pid)
	}
	do()
	increase := map[string]int{}
	for name, pid := range pids {
		increase[name] = memory(t, pid) - before[name]
	}
	return increase
}

// memory returns the largest resident size of a process, in KiB.
func memory(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(filepath.Join("/proc", itoa(pid), "status"))
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(status), "VmHWM:")
	line, _, _ = strings.Cut(line, "kB")
	kib, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	return kib
}

// downloadSum downloads a file and returns its size and SHA-256 checksum.
func (c *client) downloadSum(id string) (int64, string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), waitTimeout)
	defer cancel()
	resp, err := http.DefaultClient.Do(c.request(ctx, "GET", "/v1/files/"+id+"/download", nil))
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	h := sha256.New()
	n, err := io.Copy(h, resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		c.t.Errorf("download: got status %d (%v), want 200", resp.StatusCode, err)
	}
	return n, hex.EncodeToString(h.Sum(nil))
}

// pattern reads as a block that repeats itself, and computes the checksum of what was read.
type pattern struct {
	left  int64
	block []byte
	at    int
	hash  hash.Hash
}

func (p *pattern) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(int64(len(b)), p.left)], p.block[p.at:])
	p.at = (p.at + n) % len(p.block)
	p.left -= int64(n)
	_, _ = p.hash.Write(b[:n]) // never fails
	return n, nil
}
