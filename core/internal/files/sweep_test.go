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

func TestDeletedBytesGo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Start()
	defer r.Close()
	f := r.mustUpload("to be deleted")
	other := r.mustUpload("to stay")
	gone := make(chan string, 1)
	r.local.set(func(s *shelf) {
		s.remove = func(_ context.Context, key string) error { gone <- key; return nil }
	})
	if err := r.Delete(t.Context(), r.ada, f.ID, 0); err != nil {
		t.Fatal(err)
	}
	if key := <-gone; key != f.Blob.Key {
		t.Errorf("%s was deleted", key)
	}
	if got := r.read(other); got != "to stay" {
		t.Errorf("%q", got)
	}
	wantCode(t, r.Delete(t.Context(), r.ada, f.ID, 0), core.CodeNotFound, "")
}

// The clock is synctest's: hours pass at once.
func TestARefusedDeleteIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		f := r.mustUpload("to be deleted")
		var tries []time.Time
		r.local.set(func(s *shelf) {
			s.remove = func(context.Context, string) error {
				if tries = append(tries, time.Now()); len(tries) < 8 {
					return &sdk.Error{Code: sdk.CodeUnavailable, Message: "down"}
				}
				return nil
			}
		})
		r.Start()
		began := time.Now()
		if err := r.Delete(t.Context(), r.ada, f.ID, 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Hour)
		r.Close()
		if keys := r.local.keys(); len(keys) != 0 {
			t.Errorf("%v are left after %d tries", keys, len(tries))
		}
		for i, at := range tries[1:] {
			if pause := at.Sub(tries[i]); pause < time.Minute || pause > maxPause+time.Minute {
				t.Errorf("try %d came after %v", i+2, pause)
			}
		}
		if first := tries[0].Sub(began); first > time.Second {
			t.Errorf("the first try came after %v", first)
		}
		if n := r.orphans(); n != 0 {
			t.Errorf("%d orphans are left", n)
		}
	})
}

func TestABackendThatIsAwayIsAskedOnceASweep(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var tries int
	for range 5 {
		f := r.mustUpload("x")
		if err := r.Delete(t.Context(), r.ada, f.ID, 0); err != nil {
			t.Fatal(err)
		}
	}
	r.local.set(func(s *shelf) {
		s.remove = func(context.Context, string) error { tries++; return errCrashed }
	})
	if err := r.sweep(t.Context()); err != nil || tries != 1 {
		t.Errorf("%d tries, %v", tries, err)
	}
	if n := r.orphans(); n != 5 {
		t.Errorf("%d orphans are kept", n)
	}
}

// crash is what a server that is killed does: nothing any more.
type crash struct{}

// dying is a store that kills the server before or after a call.
type dying struct {
	core.FileStore
	before, after string
}

func (d *dying) at(place string) {
	if d.before == place {
		panic(crash{})
	}
}

func (d *dying) then(place string) {
	if d.after == place {
		panic(crash{})
	}
}

func (d *dying) ReserveBlob(ctx context.Context, b core.Blob, sweepAt time.Time) error {
	d.at("reserve")
	defer d.then("reserve")
	return d.FileStore.ReserveBlob(ctx, b, sweepAt)
}

func (d *dying) CreateFile(ctx context.Context, f *core.File, quota int64) error {
	d.at("create")
	defer d.then("create")
	return d.FileStore.CreateFile(ctx, f, quota)
}

func (d *dying) DeleteFile(ctx context.Context, v core.Actor, id string, version int64, sweepAt time.Time) (core.Blob, error) {
	d.at("delete")
	defer d.then("delete")
	return d.FileStore.DeleteFile(ctx, v, id, version, sweepAt)
}

func (d *dying) DeletePendingBlob(ctx context.Context, b core.Blob) error {
	d.at("drop")
	defer d.then("drop")
	return d.FileStore.DeletePendingBlob(ctx, b)
}

// MoveFile fails, for a move's workers can't be killed alone: nobody knows then
// whether the file has moved.
func (d *dying) MoveFile(ctx context.Context, id string, from, to core.Blob, sweepAt time.Time) error {
	if d.before == "move" {
		return errLost
	}
	err := d.FileStore.MoveFile(ctx, id, from, to, sweepAt)
	if d.after == "move" {
		return errLost
	}
	return err
}

var errLost = errors.New("the connection to the database is lost")

// until runs do in a life of the server that ends in a crash.
func (r *rig) until(t *testing.T, d *dying, do func(*Files) error) {
	t.Helper()
	d.FileStore = r.db
	f := r.life(func(o *Options) { o.Store, o.Times = d, Times{Reserve: time.Nanosecond} })
	defer func() {
		if p := recover(); p != (crash{}) {
			t.Errorf("%+v: no crash: %v", d, p)
		}
	}()
	_ = do(f)
}

func TestACrashLeavesAWholeFileOrNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		dying
		files int
	}{{dying{before: "reserve"}, 0}, {dying{after: "reserve"}, 0}, {dying{before: "create"}, 0}, {dying{after: "create"}, 1}} {
		r := newRig(t)
		r.until(t, &c.dying, func(f *Files) error {
			_, err := f.Upload(t.Context(), r.ada, &core.Upload{Name: "a", Body: strings.NewReader("content")})
			return err
		})
		if err := r.sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		files, _, err := r.db.Files(t.Context(), r.ada, core.FileFilter{Page: core.Page{Limit: 10}})
		if err != nil || len(files) != c.files || len(r.local.keys()) != c.files || r.orphans() != 0 {
			t.Errorf("%+v: %d files, %v, bytes under %v", c.dying, len(files), err, r.local.keys())
		}
		for _, f := range files {
			if got := r.read(f); got != "content" {
				t.Errorf("%+v: %q", c.dying, got)
			}
		}
	}
}

func TestACrashInADeleteIsMadeGood(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		dying
		files int
	}{{dying{before: "delete"}, 1}, {dying{after: "delete"}, 0}, {dying{before: "drop"}, 0}, {dying{after: "drop"}, 0}} {
		r := newRig(t)
		file := r.mustUpload("content")
		r.until(t, &c.dying, func(f *Files) error {
			return errors.Join(f.Delete(t.Context(), r.ada, file.ID, 0), f.sweep(t.Context()))
		})
		// What a sweeper has claimed is another's when its claim is over.
		later := r.life()
		for _, o := range claimAll(t, r) {
			if err := later.remove(t.Context(), o.Blob); err != nil {
				t.Error(err)
			}
		}
		if n := len(r.local.keys()); n != c.files {
			t.Errorf("%+v: %d blobs are left", c.dying, n)
		}
	}
}

func claimAll(t *testing.T, r *rig) []core.PendingBlob {
	t.Helper()
	all, err := r.db.ClaimPendingBlobs(t.Context(), now().Add(time.Hour), now().Add(2*time.Hour), 100)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestASlowUploadIsNotSwept(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	renewed := make(chan struct{})
	store := &renewing{FileStore: r.db, renewed: renewed}
	f := r.life(func(o *Options) { o.Store, o.Times = store, Times{Reserve: time.Hour, Renew: time.Millisecond} })
	r.local.put = func(context.Context, string, *[]byte) error {
		<-renewed
		return nil
	}
	if _, err := f.Upload(t.Context(), r.ada, &core.Upload{Name: "a", Body: strings.NewReader("slow")}); err != nil {
		t.Error(err)
	}
}

// renewing tells of the first renewal.
type renewing struct {
	core.FileStore
	renewed chan struct{}
	told    bool
}

func (s *renewing) RenewBlob(ctx context.Context, b core.Blob, sweepAt time.Time) error {
	err := s.FileStore.RenewBlob(ctx, b, sweepAt)
	if !s.told {
		s.told = true
		close(s.renewed)
	}
	return err
}

func TestAnUploadThatWasSweptIsNotKept(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.Times = Times{Reserve: time.Nanosecond} })
	r.local.put = func(context.Context, string, *[]byte) error { return r.sweep(t.Context()) }
	_, err := r.upload(strings.NewReader("content"))
	wantCode(t, err, core.CodeUnavailable, "too long to be kept")
	r.wantNothing()
}
