package storagetest

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/agentarea/agentarea/core"
)

// ledger is what the store should know after some steps: each key that was used
// is a file's or an orphan's until it is dropped, and usage is the files' sum.
type ledger struct {
	*fixture
	users    []core.Actor
	files    map[string]*core.File
	reserved map[core.Blob]bool
	claimed  map[core.Blob]int // the attempts
	now      time.Time
}

const ledgerQuota = 50

// testFileLedger takes steps at random, some of which must fail, and compares.
func testFileLedger(t *testing.T, f *fixture) {
	names := []core.Actor{f.user(t, "ada", core.RoleMember), f.user(t, "bob", core.RoleMember)}
	rapid.Check(t, func(t *rapid.T) {
		l := &ledger{
			fixture: f, users: names, files: map[string]*core.File{},
			reserved: map[core.Blob]bool{}, claimed: map[core.Blob]int{}, now: f.now,
		}
		t.Repeat(map[string]func(*rapid.T){
			"reserve": l.reserveOne, "create": l.create, "delete": l.remove, "move": l.move,
			"claim": l.claim, "drop": l.drop, "compare": l.compare,
		})
		l.clear(t)
	})
}

func (l *ledger) want(t *rapid.T, err error, want core.Code) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || core.CodeOf(err) != want) {
		t.Fatalf("got %v, want %q", err, want)
	}
}

// anyBlob is one that was used, or a new one.
func (l *ledger) anyBlob(t *rapid.T) core.Blob {
	all := []core.Blob{newBlob("local"), newBlob("s3")}
	all = slices.AppendSeq(all, maps.Keys(l.reserved))
	all = slices.AppendSeq(all, maps.Keys(l.claimed))
	for _, file := range l.files {
		all = append(all, file.Blob)
	}
	return one(t, all)
}

func one(t *rapid.T, blobs []core.Blob) core.Blob {
	slices.SortFunc(blobs, func(a, b core.Blob) int { return strings.Compare(a.Key, b.Key) })
	return rapid.SampledFrom(blobs).Draw(t, "blob")
}

func (l *ledger) anyFile(t *rapid.T) *core.File {
	if len(l.files) == 0 {
		t.Skip("no file")
	}
	return l.files[rapid.SampledFrom(slices.Sorted(maps.Keys(l.files))).Draw(t, "file")]
}

func (l *ledger) used(userID string) (sum int64) {
	for _, file := range l.files {
		if file.CreatedBy == userID {
			sum += file.Size
		}
	}
	return sum
}

func (l *ledger) reserveOne(t *rapid.T) {
	b := newBlob(rapid.SampledFrom([]string{"local", "s3"}).Draw(t, "backend"))
	l.want(t, l.ReserveBlob(l.ctx, b, l.now), "")
	l.reserved[b] = true
}

func (l *ledger) create(t *rapid.T) {
	v := rapid.SampledFrom(l.users).Draw(t, "user")
	file := l.unstored(v, func(file *core.File) {
		file.Blob, file.Size = l.anyBlob(t), rapid.Int64Range(0, 30).Draw(t, "size")
	})
	var want core.Code
	switch {
	case !l.reserved[file.Blob]:
		want = core.CodeConflict
	case l.used(v.UserID)+file.Size > ledgerQuota:
		want = core.CodePayloadTooLarge
	}
	l.want(t, l.CreateFile(l.ctx, file, ledgerQuota), want)
	if want == "" {
		delete(l.reserved, file.Blob)
		l.files[file.ID] = file
	}
}

func (l *ledger) remove(t *rapid.T) {
	file := l.anyFile(t)
	_, err := l.DeleteFile(l.ctx, core.Actor{UserID: file.CreatedBy}, file.ID, 0, l.now)
	l.want(t, err, "")
	delete(l.files, file.ID)
	l.claimed[file.Blob] = 0
}

func (l *ledger) move(t *rapid.T) {
	file, to := l.anyFile(t), l.anyBlob(t)
	var want core.Code
	if !l.reserved[to] {
		want = core.CodeConflict
	}
	l.want(t, l.MoveFile(l.ctx, file.ID, file.Blob, to, l.now), want)
	if want == "" {
		delete(l.reserved, to)
		l.claimed[file.Blob] = 0
		file.Blob = to
	}
}

// claim takes some of what is due, and then all of that is due again.
func (l *ledger) claim(t *rapid.T) {
	limit := rapid.IntRange(1, 5).Draw(t, "limit")
	got, err := l.ClaimPendingBlobs(l.ctx, l.now, l.now, limit)
	l.want(t, err, "")
	if len(got) != min(limit, len(l.reserved)+len(l.claimed)) {
		t.Fatalf("%d claimed of %d and %d", len(got), len(l.reserved), len(l.claimed))
	}
	for _, o := range got {
		attempts, is := l.claimed[o.Blob]
		if !is && !l.reserved[o.Blob] || o.Attempts != attempts+1 {
			t.Fatalf("claimed %v, and of its kind %t with %d attempts", o, is, attempts)
		}
		delete(l.reserved, o.Blob)
		l.claimed[o.Blob] = o.Attempts
	}
}

func (l *ledger) drop(t *rapid.T) {
	if len(l.claimed) == 0 {
		t.Skip("nothing is claimed")
	}
	b := one(t, slices.Collect(maps.Keys(l.claimed)))
	l.want(t, l.DeletePendingBlob(l.ctx, b), "")
	delete(l.claimed, b)
}

func (l *ledger) compare(t *rapid.T) {
	for _, v := range l.users {
		got, err := l.FileUsage(l.ctx, v.UserID)
		l.want(t, err, "")
		if got != l.used(v.UserID) {
			t.Fatalf("usage %d, want %d", got, l.used(v.UserID))
		}
	}
	for _, backend := range []string{"local", "s3"} {
		list, err := l.FilesInBackend(l.ctx, backend, "", 1000)
		l.want(t, err, "")
		n, bytes, err := l.BackendUsage(l.ctx, backend)
		l.want(t, err, "")
		for _, file := range list {
			if known := l.files[file.ID]; known == nil || known.Blob != file.Blob {
				t.Fatalf("file %v, want %v", file, known)
			}
			n--
			bytes -= file.Size
		}
		if n != 0 || bytes != 0 {
			t.Fatalf("BackendUsage of %s is off by %d files and %d bytes", backend, n, bytes)
		}
	}
	_, total, err := l.Files(l.ctx, admin, core.FileFilter{})
	l.want(t, err, "")
	if total != len(l.files) {
		t.Fatalf("%d files, want %d", total, len(l.files))
	}
}

// clear leaves nothing to the next round: what is to be claimed is all that is left.
func (l *ledger) clear(t *rapid.T) {
	for _, file := range l.files {
		_, err := l.DeleteFile(l.ctx, admin, file.ID, 0, l.now)
		l.want(t, err, "")
		l.claimed[file.Blob] = 0
	}
	clear(l.files)
	l.compare(t)
	all, err := l.ClaimPendingBlobs(l.ctx, l.now, l.now, 1000)
	l.want(t, err, "")
	if len(all) != len(l.claimed)+len(l.reserved) {
		t.Fatalf("%d orphans, want %d and %d", len(all), len(l.claimed), len(l.reserved))
	}
	for _, o := range all {
		l.want(t, l.DeletePendingBlob(l.ctx, o.Blob), "")
	}
}
