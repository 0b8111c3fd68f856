package storagetest

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agentarea/agentarea/core"
)

// wantClaimed claims all blobs that are due at a time for one minute, and compares them with want.
func (f *fixture) wantClaimed(t *testing.T, at time.Time, want ...core.PendingBlob) {
	t.Helper()
	got, err := f.ClaimPendingBlobs(f.ctx, at, at.Add(time.Minute), 100)
	ok(t, err)
	byKey := func(a, b core.PendingBlob) int { return strings.Compare(a.Key, b.Key) }
	slices.SortFunc(got, byKey)
	slices.SortFunc(want, byKey)
	if len(got) > 0 || len(want) > 0 {
		same(t, "ClaimPendingBlobs", got, want)
	}
}

func testBlob(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	file := f.unstored(v)

	// A blob that is not reserved cannot be used, renewed or claimed.
	wantCode(t, f.CreateFile(f.ctx, nil, file, 0), core.CodeConflict)
	wantCode(t, f.RenewBlob(f.ctx, file.Blob, f.at(1)), core.CodeConflict)
	_, err := f.File(f.ctx, v, file.ID)
	wantCode(t, err, core.CodeNotFound)
	f.wantClaimed(t, f.at(1_000_000))

	// A key can be reserved once per backend.
	f.reserve(t, file.Blob)
	wantCode(t, f.ReserveBlob(f.ctx, file.Blob, f.at(1)), core.CodeConflict)
	twin := f.unstored(v, func(file *core.File) { file.Blob.Key, file.Blob.Backend = "same", "s3" })
	f.reserve(t, core.Blob{Backend: "local", Key: "same"})
	wantCode(t, f.CreateFile(f.ctx, nil, twin, 0), core.CodeConflict)
	f.reserve(t, twin.Blob)
	ok(t, f.CreateFile(f.ctx, nil, twin, 0))

	// A blob of a file cannot be claimed or reserved.
	ok(t, f.CreateFile(f.ctx, nil, file, 0))
	wantCode(t, f.ReserveBlob(f.ctx, file.Blob, f.at(1)), core.CodeConflict)
	wantCode(t, f.RenewBlob(f.ctx, file.Blob, f.at(1)), core.CodeConflict)
	wantCode(t, f.CreateFile(f.ctx, nil, f.unstored(v, func(x *core.File) { x.Blob = file.Blob }), 0), core.CodeConflict)
	f.wantClaimed(t, f.at(5_000_000), core.PendingBlob{Blob: core.Blob{Backend: "local", Key: "same"}, Attempts: 1})
}

func testBlobRenew(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	file := f.unstored(v)
	ok(t, f.ReserveBlob(f.ctx, file.Blob, f.at(10)))
	ok(t, f.RenewBlob(f.ctx, file.Blob, f.at(20)))
	f.wantClaimed(t, f.at(19))
	ok(t, f.RenewBlob(f.ctx, file.Blob, f.at(5))) // an earlier time has no effect
	f.wantClaimed(t, f.at(19))
	ok(t, f.RenewBlob(f.ctx, file.Blob, f.at(20)))
	f.wantClaimed(t, f.at(20), core.PendingBlob{Blob: file.Blob, Attempts: 1})

	wantCode(t, f.RenewBlob(f.ctx, file.Blob, f.at(99)), core.CodeConflict)
	wantCode(t, f.CreateFile(f.ctx, nil, file, 0), core.CodeConflict)
	f.wantUsage(t, v, 0)
}

func testPendingBlob(t *testing.T, f *fixture) {
	blobs := make([]core.Blob, 5) // due one microsecond apart
	for _, i := range []int{4, 2, 0, 3, 1} {
		blobs[i] = newBlob("local")
		ok(t, f.ReserveBlob(f.ctx, blobs[i], f.at(i)))
	}
	pending := func(i, attempts int) core.PendingBlob { return core.PendingBlob{Blob: blobs[i], Attempts: attempts} }
	none, err := f.ClaimPendingBlobs(f.ctx, f.at(9), f.at(10), 0)
	ok(t, err)
	same(t, "length with limit 0", len(none), 0)

	// The earliest sweepAt is claimed first.
	for i := range 2 {
		got, err := f.ClaimPendingBlobs(f.ctx, f.at(3), f.at(100+i), 1)
		ok(t, err)
		same(t, "with limit 1", got, []core.PendingBlob{pending(i, 1)})
	}
	f.wantClaimed(t, f.at(3), pending(2, 1), pending(3, 1))
	f.wantClaimed(t, f.at(3))

	// Claimed blobs are due again after the claim expires, unless they were deleted.
	ok(t, f.DeletePendingBlob(f.ctx, blobs[0]))
	ok(t, f.DeletePendingBlob(f.ctx, blobs[0])) // a missing record is not an error
	ok(t, f.DeletePendingBlob(f.ctx, newBlob("local")))
	f.wantClaimed(t, f.at(100), pending(4, 1))
	f.wantClaimed(t, f.at(101), pending(1, 2))

	// A postponed blob is due at the requested time and keeps its attempts.
	minute := f.now.Add(time.Minute)
	ok(t, f.PostponePendingBlob(f.ctx, blobs[1], minute, "the disk is read-only: 'ro', \"/data\""))
	f.wantClaimed(t, minute.Add(-time.Microsecond))
	f.wantClaimed(t, minute, pending(1, 3))
	ok(t, f.PostponePendingBlob(f.ctx, newBlob("local"), minute, "gone"))
	f.wantClaimed(t, minute)
}

// testPendingBlobReserved checks that a reserved blob cannot be postponed, but can be deleted.
func testPendingBlobReserved(t *testing.T, f *fixture) {
	b := f.reserve(t, newBlob("local"))
	ok(t, f.PostponePendingBlob(f.ctx, b, f.now.Add(time.Hour), "not claimed"))
	f.wantClaimed(t, f.at(1_000_000), core.PendingBlob{Blob: b, Attempts: 1})
	b = f.reserve(t, newBlob("local"))
	ok(t, f.DeletePendingBlob(f.ctx, b))
	wantCode(t, f.RenewBlob(f.ctx, b, f.at(1)), core.CodeConflict)
	f.wantClaimed(t, f.at(2_000_000))
}

// testPendingBlobOrFile checks that a blob is either claimed or used by a file, never both.
func testPendingBlobOrFile(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	const rounds = 60
	files := make([]*core.File, rounds)
	for i := range files {
		files[i] = f.unstored(v)
		ok(t, f.ReserveBlob(f.ctx, files[i].Blob, f.now))
	}
	stored := make([]bool, rounds)
	var claimed sync.Map
	var wg sync.WaitGroup
	for i, file := range files {
		wg.Go(func() {
			err := f.CreateFile(f.ctx, nil, file, 0)
			stored[i] = err == nil
			if err != nil && core.CodeOf(err) != core.CodeConflict {
				t.Error(err)
			}
		})
		wg.Go(func() {
			got, err := f.ClaimPendingBlobs(f.ctx, f.now, f.at(1_000_000), 1)
			if err != nil {
				t.Error(err)
			}
			for _, o := range got {
				claimed.Store(o.Blob, true)
			}
		})
	}
	wg.Wait()
	var bytes int64
	for i, file := range files {
		_, err := f.File(f.ctx, v, file.ID)
		if _, swept := claimed.Load(file.Blob); stored[i] == swept || stored[i] != (err == nil) {
			t.Errorf("stored %t, claimed %t, then File = %v", stored[i], swept, err)
		}
		if stored[i] {
			bytes += file.Size
		}
	}
	f.wantUsage(t, v, bytes)
}

// testPendingBlobAtOnce checks that concurrent calls claim each pending blob once.
func testPendingBlobAtOnce(t *testing.T, f *fixture) {
	const blobs = 60
	for range blobs {
		ok(t, f.ReserveBlob(f.ctx, newBlob("local"), f.now))
	}
	var got sync.Map
	var twice atomic.Int32
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			for {
				claimed, err := f.ClaimPendingBlobs(f.ctx, f.now, f.at(1), 4)
				if err != nil || len(claimed) == 0 {
					errs[i] = err
					return
				}
				for _, o := range claimed {
					if _, is := got.LoadOrStore(o.Blob, o); is || o.Attempts != 1 {
						twice.Add(1)
					}
				}
			}
		})
	}
	wg.Wait()
	ok(t, errors.Join(errs...))
	same(t, "claimed twice", twice.Load(), int32(0))
	n := 0
	got.Range(func(any, any) bool { n++; return true })
	same(t, "claimed", n, blobs)
}
