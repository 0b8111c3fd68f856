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

// uploadRecorder uploads files concurrently and records which uploads were acknowledged.
type uploadRecorder struct {
	client *client
	seed   atomic.Uint64
	// interrupted counts uploads that failed after they had begun.
	interrupted atomic.Int64
	// pause is the time before each 64 KiB.
	pause time.Duration

	mu    sync.Mutex
	acked map[string]file
}

// upload uploads files until stop is closed or more returns false.
func (s *uploadRecorder) upload(stop <-chan struct{}, more func(*reply, error) bool) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		seed := s.seed.Add(1)
		data := randomBytes(seed, rand.IntN(4<<20))
		var begun atomic.Bool
		body := &slowReader{content: bytes.NewReader(data), pause: s.pause, read: func(n int64) { begun.Store(n > 64<<10) }}
		r, err := s.client.tryUpload(metadataPart(fmt.Sprintf(`{"sha256":%q}`, sha256Hex(data))), filePart("noise", body))
		switch {
		case err == nil && r.status == 201:
			f := decode[file](s.client.t, r)
			s.mu.Lock()
			s.acked[f.ID] = f
			s.mu.Unlock()
		case begun.Load():
			s.interrupted.Add(1)
		}
		if !more(r, err) {
			return
		}
	}
}

// hasNew returns a function that reports whether another upload was acknowledged since the call of hasNew.
func (s *uploadRecorder) hasNew() func() bool {
	acked := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.acked)
	}
	before := acked()
	return func() bool { return acked() > before }
}

// check checks that each acknowledged file exists and that each existing file has the bytes that were
// sent. It returns the sizes of the existing files.
func (s *uploadRecorder) check() []int64 {
	t := s.client.t
	t.Helper()
	var sizes []int64
	there := map[string]bool{}
	for _, f := range s.client.files() {
		there[f.ID] = true
		sizes = append(sizes, f.Size)
		if f.Metadata["sha256"] != f.SHA256 {
			t.Errorf("the bytes of %+v are not those that were sent", f)
		}
		s.client.checkDownload(f)
	}
	for id, f := range s.acked {
		if !there[id] {
			t.Errorf("%+v was acknowledged and does not exist", f)
		}
	}
	return sizes
}

// If the server is killed during uploads, each file is complete or does not exist, and after the
// sweep no other object is on the disk.
func TestServerKilledInUploads(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	uploads := &uploadRecorder{client: s.signIn(), acked: map[string]file{}, pause: time.Millisecond}
	for range testenv.Rounds(2, 6) {
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				uploads.upload(nil, func(r *reply, err error) bool {
					if err == nil && r.status != 201 {
						t.Errorf("got status %d, want 201: %s", r.status, r.body)
					}
					return err == nil
				})
			})
		}
		eventually(t, "an acknowledged upload", uploads.hasNew())
		time.Sleep(time.Duration(rand.IntN(500)) * time.Millisecond) // a random moment is the point of the test
		processes := s.signIn().plugins()
		s.kill()
		wg.Wait()
		wantGone(t, processes)
		s.wantObjectsKnown("files-local/files")
		s.restart()
	}
	sizes := uploads.check()
	t.Logf("%d uploads acknowledged, %d files, %d uploads interrupted",
		len(uploads.acked), len(sizes), uploads.interrupted.Load())
	if uploads.interrupted.Load() == 0 || len(uploads.acked) == 0 {
		t.Error("no upload was interrupted, or none was acknowledged: the test proves nothing")
	}
	s.kill()
	s.expirePending()
	s.restart()
	s.waitObjects("files-local/files", sizes...)
	uploads.check()
	s.terminate()
	<-s.exited
	if n := s.pendingBlobs(); n != 0 {
		t.Errorf("got %d pending blobs, want none", n)
	}
}

// If the backend's process is killed during uploads and downloads, each upload is acknowledged or
// answered with 503, and downloads continue.
func TestBackendKilledInUploads(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	c := s.signIn()
	uploads := &uploadRecorder{client: c, acked: map[string]file{}, pause: time.Millisecond}
	big := c.upload("big", randomBytes(1<<16, 4<<20))
	c.do("PATCH", "/v1/files/"+big.ID, object{"metadata": object{"sha256": big.SHA256}}).want(t, 200)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			uploads.upload(stop, func(r *reply, err error) bool {
				if err != nil || r.status != 201 && (r.status != 503 || r.header.Get("Retry-After") == "") {
					t.Errorf("got %+v (%v), want status 201 or 503 with Retry-After", r, err)
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
				c.checkDownload(big) // it continues with the next process
			}
		}
	})
	for range 3 { // after five exits there is no restart
		eventually(t, "an acknowledged upload", uploads.hasNew())
		time.Sleep(time.Duration(rand.IntN(500)) * time.Millisecond) // a random moment is the point of the test
		before := c.plugin("files", "local")
		kill(t, before.PID)
		eventually(t, "the restart", func() bool {
			now := c.plugin("files", "local")
			return now.State == "running" && now.PID != before.PID
		})
	}
	close(stop)
	wg.Wait()
	sizes := uploads.check()
	t.Logf("%d uploads acknowledged, %d files, %d uploads interrupted",
		len(uploads.acked), len(sizes), uploads.interrupted.Load())
	if uploads.interrupted.Load() == 0 || len(uploads.acked) == 0 || len(sizes) != len(uploads.acked)+1 {
		t.Error("no upload was interrupted, or a file exists that was not acknowledged")
	}
	s.kill()
	s.wantObjectsKnown("files-local/files")
	s.expirePending()
	s.restart()
	s.waitObjects("files-local/files", sizes...)
}

// A client that disconnects during an upload leaves no file and no object.
func TestClientLeavesUpload(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	c := s.signIn()
	for range 5 {
		body := io.MultiReader(bytes.NewReader(randomBytes(7, 1<<20)), iotest.ErrReader(io.ErrClosedPipe))
		if r, err := c.tryUpload(filePart("cut", body)); err == nil {
			t.Errorf("the interrupted upload has the reply %+v", r)
		}
	}
	s.waitObjects("files-local/files")
	if got := c.files(); len(got) != 0 {
		t.Errorf("got files %+v, want none", got)
	}
}
