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

// fileModel is the expected state of the file store. Each used key belongs to a file or to a pending
// blob until it is deleted, and a user's usage is the sum of the user's files.
type fileModel struct {
	*fixture
	users    []core.Actor
	files    map[string]*core.File
	reserved map[core.Blob]bool
	claimed  map[core.Blob]int // number of attempts
	now      time.Time
}

const modelQuota = 50

// testFileModel executes random steps, some of which must fail, and compares the store with the model.
func testFileModel(t *testing.T, f *fixture) {
	names := []core.Actor{f.user(t, "ada", core.RoleMember), f.user(t, "bob", core.RoleMember)}
	rapid.Check(t, func(t *rapid.T) {
		m := &fileModel{
			fixture: f, users: names, files: map[string]*core.File{},
			reserved: map[core.Blob]bool{}, claimed: map[core.Blob]int{}, now: f.now,
		}
		t.Repeat(map[string]func(*rapid.T){
			"reserve": m.reserveOne, "create": m.create, "delete": m.remove, "move": m.move,
			"claim": m.claim, "remove record": m.drop, "compare": m.compare,
		})
		m.clear(t)
	})
}

func (m *fileModel) want(t *rapid.T, err error, want core.Code) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || core.CodeOf(err) != want) {
		t.Fatalf("got %v, want %q", err, want)
	}
}

// anyBlob returns a used or a new blob.
func (m *fileModel) anyBlob(t *rapid.T) core.Blob {
	all := []core.Blob{newBlob("local"), newBlob("s3")}
	all = slices.AppendSeq(all, maps.Keys(m.reserved))
	all = slices.AppendSeq(all, maps.Keys(m.claimed))
	for _, file := range m.files {
		all = append(all, file.Blob)
	}
	return one(t, all)
}

func one(t *rapid.T, blobs []core.Blob) core.Blob {
	slices.SortFunc(blobs, func(a, b core.Blob) int { return strings.Compare(a.Key, b.Key) })
	return rapid.SampledFrom(blobs).Draw(t, "blob")
}

func (m *fileModel) anyFile(t *rapid.T) *core.File {
	if len(m.files) == 0 {
		t.Skip("no file")
	}
	return m.files[rapid.SampledFrom(slices.Sorted(maps.Keys(m.files))).Draw(t, "file")]
}

func (m *fileModel) used(userID string) (sum int64) {
	for _, file := range m.files {
		if file.CreatedBy == userID {
			sum += file.Size
		}
	}
	return sum
}

func (m *fileModel) reserveOne(t *rapid.T) {
	b := newBlob(rapid.SampledFrom([]string{"local", "s3"}).Draw(t, "backend"))
	m.want(t, m.ReserveBlob(m.ctx, b, m.now), "")
	m.reserved[b] = true
}

func (m *fileModel) create(t *rapid.T) {
	v := rapid.SampledFrom(m.users).Draw(t, "user")
	file := m.unstored(v, func(file *core.File) {
		file.Blob, file.Size = m.anyBlob(t), rapid.Int64Range(0, 30).Draw(t, "size")
	})
	var want core.Code
	switch {
	case !m.reserved[file.Blob]:
		want = core.CodeConflict
	case m.used(v.UserID)+file.Size > modelQuota:
		want = core.CodePayloadTooLarge
	}
	m.want(t, m.CreateFile(m.ctx, nil, file, modelQuota), want)
	if want == "" {
		delete(m.reserved, file.Blob)
		m.files[file.ID] = file
	}
}

func (m *fileModel) remove(t *rapid.T) {
	file := m.anyFile(t)
	_, err := m.DeleteFile(m.ctx, nil, core.Actor{UserID: file.CreatedBy}, file.ID, 0, m.now)
	m.want(t, err, "")
	delete(m.files, file.ID)
	m.claimed[file.Blob] = 0
}

func (m *fileModel) move(t *rapid.T) {
	file, to := m.anyFile(t), m.anyBlob(t)
	var want core.Code
	if !m.reserved[to] {
		want = core.CodeConflict
	}
	m.want(t, m.MoveFile(m.ctx, nil, file.ID, file.Blob, to, m.now), want)
	if want == "" {
		delete(m.reserved, to)
		m.claimed[file.Blob] = 0
		file.Blob = to
	}
}

// claim claims some of the due blobs, which are due again afterwards.
func (m *fileModel) claim(t *rapid.T) {
	limit := rapid.IntRange(1, 5).Draw(t, "limit")
	got, err := m.ClaimPendingBlobs(m.ctx, m.now, m.now, limit)
	m.want(t, err, "")
	if len(got) != min(limit, len(m.reserved)+len(m.claimed)) {
		t.Fatalf("claimed %d blobs of %d reserved and %d claimed ones", len(got), len(m.reserved), len(m.claimed))
	}
	for _, o := range got {
		attempts, is := m.claimed[o.Blob]
		if !is && !m.reserved[o.Blob] || o.Attempts != attempts+1 {
			t.Fatalf("claimed %+v, want claimed %t with %d attempts", o, is, attempts+1)
		}
		delete(m.reserved, o.Blob)
		m.claimed[o.Blob] = o.Attempts
	}
}

func (m *fileModel) drop(t *rapid.T) {
	if len(m.claimed) == 0 {
		t.Skip("no claimed blob")
	}
	b := one(t, slices.Collect(maps.Keys(m.claimed)))
	m.want(t, m.DeletePendingBlob(m.ctx, b), "")
	delete(m.claimed, b)
}

func (m *fileModel) compare(t *rapid.T) {
	for _, v := range m.users {
		got, err := m.FileUsage(m.ctx, v.UserID)
		m.want(t, err, "")
		if got != m.used(v.UserID) {
			t.Fatalf("FileUsage = %d, want %d", got, m.used(v.UserID))
		}
	}
	for _, backend := range []string{"local", "s3"} {
		list, err := m.FilesInBackend(m.ctx, backend, "", 1000)
		m.want(t, err, "")
		n, bytes, err := m.BackendUsage(m.ctx, backend)
		m.want(t, err, "")
		for _, file := range list {
			if known := m.files[file.ID]; known == nil || known.Blob != file.Blob {
				t.Fatalf("file %v, want %v", file, known)
			}
			n--
			bytes -= file.Size
		}
		if n != 0 || bytes != 0 {
			t.Fatalf("BackendUsage of %s is off by %d files and %d bytes", backend, n, bytes)
		}
	}
	_, total, err := m.Files(m.ctx, admin, core.FileFilter{})
	m.want(t, err, "")
	if total != len(m.files) {
		t.Fatalf("Files: total %d, want %d", total, len(m.files))
	}
}

// clear deletes everything, and checks that nothing else was left.
func (m *fileModel) clear(t *rapid.T) {
	for _, file := range m.files {
		_, err := m.DeleteFile(m.ctx, nil, admin, file.ID, 0, m.now)
		m.want(t, err, "")
		m.claimed[file.Blob] = 0
	}
	clear(m.files)
	m.compare(t)
	all, err := m.ClaimPendingBlobs(m.ctx, m.now, m.now, 1000)
	m.want(t, err, "")
	if len(all) != len(m.claimed)+len(m.reserved) {
		t.Fatalf("got %d pending blobs, want %d claimed and %d reserved", len(all), len(m.claimed), len(m.reserved))
	}
	for _, o := range all {
		m.want(t, m.DeletePendingBlob(m.ctx, o.Blob), "")
	}
}
