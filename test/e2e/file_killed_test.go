package e2e_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/agentarea/agentarea/test/testenv"
)

// shelf is what a server has acknowledged of the files of several writers.
type uploadRecorder struct {
	client *client
	seed   atomic.Uint64
	cut    atomic.Int64
	// slow is the pause before each 64 KiB.
	slow time.Duration

	mu   sync.Mutex
	kept map[string]file
}

// fill uploads until stop is closed or the server is gone. A refusal must be a 503.
func (s *uploadRecorder) fill(stop <-chan struct{}, more func(*reply, error) bool) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		seed := s.seed.Add(1)
		data := randomBytes(seed, rand.IntN(4<<20))
		var begun atomic.Bool
		body := &slowReader{content: bytes.NewReader(data), pause: s.slow, read: func(n int64) { begun.Store(n > 64<<10) }}
		r, err := s.client.tryUpload(metadataPart(fmt.Sprintf(`{"sha256":%q}`, sha256Hex(data))), filePart("noise", body))
		switch {
		case err == nil && r.status == 201:
			f := decode[file](s.client.t, r)
			s.mu.Lock()
			s.kept[f.ID] = f
			s.mu.Unlock()
		case begun.Load():
			s.cut.Add(1)
		}
		if !more(r, err) {
			return
		}
	}
}

// check wants what was acknowledged to be there, and all that is there to be
// what somebody has sent, and gives the sizes.
func (s *uploadRecorder) check() []int64 {
	t := s.client.t
	t.Helper()
	var sizes []int64
	there := map[string]bool{}
	for _, f := range s.client.files() {
		there[f.ID] = true
		sizes = append(sizes, f.Size)
		if f.Metadata["sha256"] != f.SHA256 {
			t.Errorf("%+v has not the bytes that were sent", f)
		}
		s.client.checkDownload(f)
	}
	for id, f := range s.kept {
		if !there[id] {
			t.Errorf("%+v was acknowledged and is not there", f)
		}
	}
	return sizes
}

// The server dies at random moments under uploads: each file is whole or not
// there, and after the sweep nothing else is on the disk.
func TestServerKilledInUploads(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	uploadRecorder := &uploadRecorder{client: s.signIn(), kept: map[string]file{}, slow: time.Millisecond}
	for range testenv.Rounds(2, 6) {
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				uploadRecorder.fill(nil, func(r *reply, err error) bool {
					if err == nil && r.status != 201 {
						t.Errorf("status %d: %s", r.status, r.body)
					}
					return err == nil
				})
			})
		}
		time.Sleep(time.Duration(100+rand.IntN(500)) * time.Millisecond) // the moment is what is tried
		processes := s.signIn().plugins()
		s.kill()
		wg.Wait()
		wantGone(t, processes)
		s.wantObjectsKnown("files-local/files")
		s.restart()
	}
	sizes := uploadRecorder.check()
	t.Logf("%d acknowledged, %d there, %d cut", len(uploadRecorder.kept), len(sizes), uploadRecorder.cut.Load())
	if uploadRecorder.cut.Load() == 0 || len(uploadRecorder.kept) == 0 {
		t.Error("nothing was cut, or nothing kept: the test tests nothing")
	}
	s.kill()
	s.expirePending()
	s.restart()
	s.waitObjects("files-local/files", sizes...)
	uploadRecorder.check()
	s.terminate()
	<-s.exited
	if n := s.orphans(); n != 0 {
		t.Errorf("%d orphans are left", n)
	}
}

// The backend's process dies at random moments under uploads and downloads.
func TestBackendKilledInUploads(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	c := s.signIn()
	uploadRecorder := &uploadRecorder{client: c, kept: map[string]file{}, slow: time.Millisecond}
	big := c.upload("big", randomBytes(1<<16, 4<<20))
	c.do("PATCH", "/v1/files/"+big.ID, object{"metadata": object{"sha256": big.SHA256}}).want(t, 200)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			uploadRecorder.fill(stop, func(r *reply, err error) bool {
				if err != nil || r.status != 201 && (r.status != 503 || r.header.Get("Retry-After") == "") {
					t.Errorf("%v %+v", err, r)
				}
				return true
			})
		})
	}
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				c.checkDownload(big) // it goes on with the next process
			}
		}
	})
	for range 3 { // a few more, and the circuit opens
		time.Sleep(time.Duration(100+rand.IntN(500)) * time.Millisecond) // the moment is what is tried
		before := c.plugin("files", "local")
		kill(t, before.PID)
		eventually(t, "the restart", func() bool {
			now := c.plugin("files", "local")
			return now.State == "running" && now.PID != before.PID
		})
	}
	close(stop)
	wg.Wait()
	sizes := uploadRecorder.check()
	t.Logf("%d acknowledged, %d there, %d cut", len(uploadRecorder.kept), len(sizes), uploadRecorder.cut.Load())
	if uploadRecorder.cut.Load() == 0 || len(uploadRecorder.kept) == 0 || len(sizes) != len(uploadRecorder.kept)+1 {
		t.Error("nothing was cut, or not all is acknowledged that is kept")
	}
	s.kill()
	s.wantObjectsKnown("files-local/files")
	s.expirePending()
	s.restart()
	s.waitObjects("files-local/files", sizes...)
}

// A client that goes away in mid-upload leaves nothing.
func TestClientLeavesUpload(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	c := s.signIn()
	for range 5 {
		body := io.MultiReader(bytes.NewReader(randomBytes(7, 1<<20)), iotest.ErrReader(io.ErrClosedPipe))
		if r, err := c.tryUpload(filePart("cut", body)); err == nil {
			t.Errorf("an upload that was cut has the reply %+v", r)
		}
	}
	s.waitObjects("files-local/files")
	if got := c.files(); len(got) != 0 {
		t.Errorf("kept %+v", got)
	}
}
