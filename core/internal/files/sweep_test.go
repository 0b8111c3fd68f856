package files

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

func TestSweepDeletesBytes(t *testing.T) {
	t.Parallel()
	r := newEnv(t)
	r.Start()
	defer r.Close()
	f := r.mustUpload("to be deleted")
	other := r.mustUpload("to stay")
	deleted := make(chan string, 1)
	r.local.set(func(s *memoryBackend) {
		s.remove = func(_ context.Context, key string) error { deleted <- key; return nil }
	})
	if err := r.Delete(t.Context(), nil, r.ada, f.ID, 0); err != nil {
		t.Fatal(err)
	}
	if key := <-deleted; key != f.Blob.Key {
		t.Errorf("deleted %s, want %s", key, f.Blob.Key)
	}
	if got := r.read(other); got != "to stay" {
		t.Errorf("got content %q of the other file, want it unchanged", got)
	}
	wantCode(t, r.Delete(t.Context(), nil, r.ada, f.ID, 0), core.CodeNotFound, "")
}

// The test uses the fake clock of synctest.
func TestFailedDeleteIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newEnv(t)
		f := r.mustUpload("to be deleted")
		var tries []time.Time
		r.local.set(func(s *memoryBackend) {
			s.remove = func(context.Context, string) error {
				if tries = append(tries, time.Now()); len(tries) < 8 {
					return &sdk.Error{Code: sdk.CodeUnavailable, Message: "down"}
				}
				return nil
			}
		})
		r.Start()
		began := time.Now()
		if err := r.Delete(t.Context(), nil, r.ada, f.ID, 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Hour)
		r.Close()
		if keys := r.local.keys(); len(keys) != 0 {
			t.Errorf("got blobs %v after %d attempts, want none", keys, len(tries))
		}
		for i, at := range tries[1:] {
			if pause := at.Sub(tries[i]); pause < time.Minute || pause > maxPause+time.Minute {
				t.Errorf("attempt %d came %v after the previous one", i+2, pause)
			}
		}
		if first := tries[0].Sub(began); first > time.Second {
			t.Errorf("the first attempt came after %v, want immediately", first)
		}
		if n := r.pendingBlobs(); n != 0 {
			t.Errorf("got %d pending blobs, want none", n)
		}
	})
}

func TestUnavailableBackendIsCalledOncePerSweep(t *testing.T) {
	t.Parallel()
	r := newEnv(t)
	var tries int
	for range 5 {
		f := r.mustUpload("x")
		if err := r.Delete(t.Context(), nil, r.ada, f.ID, 0); err != nil {
			t.Fatal(err)
		}
	}
	r.local.set(func(s *memoryBackend) {
		s.remove = func(context.Context, string) error { tries++; return errCrashed }
	})
	if err := r.sweep(t.Context()); err != nil || tries != 1 {
		t.Errorf("got %d calls of the backend (%v), want 1", tries, err)
	}
	if n := r.pendingBlobs(); n != 5 {
		t.Errorf("got %d pending blobs, want 5", n)
	}
}

// crash is the panic value of a simulated kill.
type crash struct{}

// crashingStore is a store that panics with crash before or after a call.
type crashingStore struct {
	core.FileStore
	before, after string
}

func (d *crashingStore) at(place string) {
	if d.before == place {
		panic(crash{})
	}
}

func (d *crashingStore) then(place string) {
	if d.after == place {
		panic(crash{})
	}
}

func (d *crashingStore) ReserveBlob(ctx context.Context, b core.Blob, sweepAt time.Time) error {
	d.at("reserve")
	defer d.then("reserve")
	return d.FileStore.ReserveBlob(ctx, b, sweepAt)
}

func (d *crashingStore) CreateFile(ctx context.Context, audit *core.AuditRecord, f *core.File, quota int64) error {
	d.at("create")
	defer d.then("create")
	return d.FileStore.CreateFile(ctx, audit, f, quota)
}

func (d *crashingStore) DeleteFile(
	ctx context.Context, audit *core.AuditRecord, v core.Actor, id string, version int64, sweepAt time.Time,
) (core.Blob, error) {
	d.at("delete")
	defer d.then("delete")
	return d.FileStore.DeleteFile(ctx, audit, v, id, version, sweepAt)
}

func (d *crashingStore) DeletePendingBlob(ctx context.Context, b core.Blob) error {
	d.at("drop")
	defer d.then("drop")
	return d.FileStore.DeletePendingBlob(ctx, b)
}

// MoveFile fails instead of panicking, because a panic in a worker would end the test. Its caller
// does not know whether the file was moved.
func (d *crashingStore) MoveFile(
	ctx context.Context, audit *core.AuditRecord, id string, from, to core.Blob, sweepAt time.Time,
) error {
	if d.before == "move" {
		return errLost
	}
	err := d.FileStore.MoveFile(ctx, audit, id, from, to, sweepAt)
	if d.after == "move" {
		return errLost
	}
	return err
}

var errLost = errors.New("the connection to the database is lost")

// runUntilCrash runs do on a server that crashes at the step that d selects.
func (r *env) runUntilCrash(t *testing.T, d *crashingStore, do func(*Files) error) {
	t.Helper()
	d.FileStore = r.db
	f := r.restart(func(o *Options) { o.Store, o.Times = d, Times{Reserve: time.Nanosecond} })
	defer func() {
		if p := recover(); p != (crash{}) {
			t.Errorf("%+v: got panic %v, want a simulated crash", d, p)
		}
	}()
	_ = do(f)
}

func TestCrashLeavesCompleteFileOrNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		crashingStore
		files int
	}{
		{crashingStore{before: "reserve"}, 0},
		{crashingStore{after: "reserve"}, 0},
		{crashingStore{before: "create"}, 0},
		{crashingStore{after: "create"}, 1},
	} {
		r := newEnv(t)
		r.runUntilCrash(t, &c.crashingStore, func(f *Files) error {
			_, err := f.Upload(t.Context(), nil, r.ada, &core.Upload{Name: "a", Body: strings.NewReader("content")})
			return err
		})
		if err := r.sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		files, _, err := r.db.Files(t.Context(), r.ada, core.FileFilter{Page: core.Page{Limit: 10}})
		if err != nil || len(files) != c.files || len(r.local.keys()) != c.files || r.pendingBlobs() != 0 {
			t.Errorf("%+v: got %d files (%v) and blobs %v, want %d of each",
				c.crashingStore, len(files), err, r.local.keys(), c.files)
		}
		for _, f := range files {
			if got := r.read(f); got != "content" {
				t.Errorf("%+v: got content %q", c.crashingStore, got)
			}
		}
	}
}

func TestCrashDuringDelete(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		crashingStore
		files int
	}{
		{crashingStore{before: "delete"}, 1},
		{crashingStore{after: "delete"}, 0},
		{crashingStore{before: "drop"}, 0},
		{crashingStore{after: "drop"}, 0},
	} {
		r := newEnv(t)
		file := r.mustUpload("content")
		r.runUntilCrash(t, &c.crashingStore, func(f *Files) error {
			return errors.Join(f.Delete(t.Context(), nil, r.ada, file.ID, 0), f.sweep(t.Context()))
		})
		// After a claim expires, another sweeper can claim the blob.
		later := r.restart()
		for _, o := range claimAll(t, r) {
			if err := later.remove(t.Context(), o.Blob); err != nil {
				t.Error(err)
			}
		}
		if n := len(r.local.keys()); n != c.files {
			t.Errorf("%+v: got %d blobs, want %d", c.crashingStore, n, c.files)
		}
	}
}

func claimAll(t *testing.T, r *env) []core.PendingBlob {
	t.Helper()
	all, err := r.db.ClaimPendingBlobs(t.Context(), now().Add(time.Hour), now().Add(2*time.Hour), 100)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestSlowUploadIsNotSwept(t *testing.T) {
	t.Parallel()
	r := newEnv(t)
	renewed := make(chan struct{})
	store := &renewing{FileStore: r.db, renewed: renewed}
	f := r.restart(func(o *Options) { o.Store, o.Times = store, Times{Reserve: time.Hour, Renew: time.Millisecond} })
	r.local.put = func(context.Context, string, *[]byte) error {
		<-renewed
		return nil
	}
	if _, err := f.Upload(t.Context(), nil, r.ada, &core.Upload{Name: "a", Body: strings.NewReader("slow")}); err != nil {
		t.Error(err)
	}
}

// renewing is a store that signals the first renewal of a reservation.
type renewing struct {
	core.FileStore
	renewed   chan struct{}
	signalled bool
}

func (s *renewing) RenewBlob(ctx context.Context, b core.Blob, sweepAt time.Time) error {
	err := s.FileStore.RenewBlob(ctx, b, sweepAt)
	if !s.signalled {
		s.signalled = true
		close(s.renewed)
	}
	return err
}

func TestSweptUploadFails(t *testing.T) {
	t.Parallel()
	r := newEnv(t, func(o *Options) { o.Times = Times{Reserve: time.Nanosecond} })
	r.local.put = func(context.Context, string, *[]byte) error { return r.sweep(t.Context()) }
	_, err := r.upload(strings.NewReader("content"))
	wantCode(t, err, core.CodeUnavailable, "upload took too long")
	r.wantNothing()
}
