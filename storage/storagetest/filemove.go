package storagetest

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/agentarea/agentarea/core"
)

func testFileBackend(t *testing.T, f *fixture) {
	v, other := f.user(t, "ada", core.RoleMember), f.user(t, "bob", core.RoleMember)
	var want []string // of all users, ordered by id
	for i := range 5 {
		file := f.file(t, []core.Actor{v, other}[i%2], func(file *core.File) {
			file.Blob, file.Size = newBlob("s3"), 1<<60
		})
		want = append(want, file.ID)
	}
	f.file(t, v, func(file *core.File) { file.Blob = newBlob("s") })
	f.reserve(t, newBlob("s3")) // no file refers to it

	var got []string
	after := ""
	for _, n := range []int{2, 2, 1, 0} {
		list, err := f.FilesInBackend(f.ctx, "s3", after, 2)
		ok(t, err)
		same(t, "length of a page", len(list), n)
		got = append(got, fileIDs(list)...)
		after = got[len(got)-1]
	}
	same(t, "FilesInBackend", got, want)
	first, err := f.FilesInBackend(f.ctx, "s3", "", 1)
	ok(t, err)
	file, err := f.File(f.ctx, v, want[0])
	ok(t, err)
	same(t, "FilesInBackend", first, []*core.File{file})
	none, err := f.FilesInBackend(f.ctx, "s3", "", 0)
	ok(t, err)
	same(t, "length with limit 0", len(none), 0)

	for backend, want := range map[string][2]int64{"s3": {5, 5 << 60}, "s": {1, 10}, "S3": {}, "": {}} {
		n, bytes, err := f.BackendUsage(f.ctx, backend)
		ok(t, err)
		same(t, "BackendUsage of "+backend, [2]int64{int64(n), bytes}, want)
	}
}

func testFileMove(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	file := f.file(t, v)
	from, to := file.Blob, f.reserve(t, newBlob("s3"))

	wantCode(t, f.MoveFile(f.ctx, nil, file.ID, from, newBlob("s3"), f.at(5)), core.CodeConflict)  // not reserved
	wantCode(t, f.MoveFile(f.ctx, nil, file.ID, from, from, f.at(5)), core.CodeConflict)           // not reserved
	wantCode(t, f.MoveFile(f.ctx, nil, file.ID, newBlob("local"), to, f.at(5)), core.CodeNotFound) // wrong blob
	wantCode(t, f.MoveFile(f.ctx, nil, "file-none", from, to, f.at(5)), core.CodeNotFound)         // unknown file
	// another file's blob
	wantCode(t, f.MoveFile(f.ctx, nil, file.ID, from, f.file(t, v).Blob, f.at(5)), core.CodeConflict)
	got, err := f.File(f.ctx, v, file.ID)
	ok(t, err)
	same(t, "File after rejected moves", got, file)
	f.wantClaimed(t, f.at(5))

	ok(t, f.MoveFile(f.ctx, nil, file.ID, from, to, f.at(5)))
	want := *file
	want.Blob = to
	got, err = f.File(f.ctx, v, file.ID)
	ok(t, err)
	same(t, "File", got, &want)
	f.wantUsage(t, v, 20)

	// The old blob is claimed and due at the requested time. The new one is not pending.
	wantCode(t, f.RenewBlob(f.ctx, from, f.at(9)), core.CodeConflict)
	wantCode(t, f.MoveFile(f.ctx, nil, file.ID, to, from, f.at(5)), core.CodeConflict)
	f.wantClaimed(t, f.at(4))
	f.wantClaimed(t, f.at(5_000_000), core.PendingBlob{Blob: from, Attempts: 1})
	ok(t, f.DeletePendingBlob(f.ctx, from))

	// No file can refer to a claimed blob.
	late := newBlob("local")
	ok(t, f.ReserveBlob(f.ctx, late, f.now))
	f.wantClaimed(t, f.now, core.PendingBlob{Blob: late, Attempts: 1})
	wantCode(t, f.MoveFile(f.ctx, nil, file.ID, to, late, f.at(5)), core.CodeConflict)
	got, err = f.File(f.ctx, v, file.ID)
	ok(t, err)
	same(t, "File", got, &want)
}

// testFileMoveAtOnce checks that after concurrent moves and deletes each blob belongs to a file or is
// pending.
func testFileMoveAtOnce(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	for range 10 {
		file := f.file(t, v)
		var moved atomic.Int32
		var wg sync.WaitGroup
		var want []core.PendingBlob
		for range 4 {
			to := newBlob("s3")
			ok(t, f.ReserveBlob(f.ctx, to, f.now))
			want = append(want, core.PendingBlob{Blob: to, Attempts: 1})
			wg.Go(func() {
				switch err := f.MoveFile(f.ctx, nil, file.ID, file.Blob, to, f.now); {
				case err == nil:
					moved.Add(1)
				case core.CodeOf(err) != core.CodeNotFound:
					t.Error(err)
				}
			})
		}
		wg.Go(func() {
			if _, err := f.DeleteFile(f.ctx, nil, v, file.ID, 0, f.now); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		if moved.Load() > 1 {
			t.Fatalf("%d moves succeeded, want at most 1", moved.Load())
		}
		f.wantClaimed(t, f.now, append(want, core.PendingBlob{Blob: file.Blob, Attempts: 1})...)
	}
	f.wantUsage(t, v, 0)
}
