package storagetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/agentarea/agentarea/core"
)

// unstored returns a file that is not stored, with a new blob that is not reserved.
func (f *fixture) unstored(v core.Actor, change ...func(*core.File)) *core.File {
	file := &core.File{
		ID: core.NewID("file"), Name: "notes.txt", Size: 10, ContentType: "text/plain; charset=utf-8",
		SHA256: strings.Repeat("0a", 32), Metadata: json.RawMessage(`{}`), CreatedBy: v.UserID,
		CreatedAt: f.now, UpdatedAt: f.now, Blob: newBlob("local"),
	}
	for _, c := range change {
		c(file)
	}
	return file
}

// newBlob returns an unused blob.
func newBlob(backend string) core.Blob { return core.Blob{Backend: backend, Key: core.NewID("blob")} }

// reserve reserves a blob that is due one second after now.
func (f *fixture) reserve(t *testing.T, b core.Blob) core.Blob {
	t.Helper()
	ok(t, f.ReserveBlob(f.ctx, b, f.at(1_000_000)))
	return b
}

// file creates a file of v.
func (f *fixture) file(t *testing.T, v core.Actor, change ...func(*core.File)) *core.File {
	t.Helper()
	file := f.unstored(v, change...)
	f.reserve(t, file.Blob)
	ok(t, f.CreateFile(f.ctx, nil, file, 0))
	return file
}

func (f *fixture) wantUsage(t *testing.T, v core.Actor, want int64) {
	t.Helper()
	got, err := f.FileUsage(f.ctx, v.UserID)
	ok(t, err)
	same(t, "FileUsage", got, want)
}

func fileIDs(list []*core.File) []string {
	return append([]string{}, ids(list, func(f *core.File) string { return f.ID })...)
}

func testFile(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	file := f.file(t, v, func(file *core.File) {
		file.Name, file.Size = "Übersicht 翻訳 🧠 \u202e' \" \\ ?0 ?.txt", 1<<53+1
		file.Metadata = json.RawMessage(`{"z": 9007199254740993, "a":"?","html":"<&>"}`)
		file.CreatedAt, file.UpdatedAt = f.now.Add(999), f.at(5)
	})
	same(t, "Version", file.Version, int64(1))
	want := *file
	want.CreatedAt = f.now
	got, err := f.File(f.ctx, v, file.ID)
	ok(t, err)
	same(t, "File", got, &want)
	list, _, err := f.Files(f.ctx, v, core.FileFilter{Page: core.Page{Limit: 1}})
	ok(t, err)
	same(t, "Files", list, []*core.File{&want})
	f.wantUsage(t, v, 1<<53+1)

	_, err = f.File(f.ctx, v, "file-none")
	wantCode(t, err, core.CodeNotFound)
	f.wantUsage(t, core.Actor{UserID: "user-none"}, 0)
}

// testFileTwice checks that a second file with the same id is a conflict with any quota, and
// that its blob stays reserved.
func testFileTwice(t *testing.T, f *fixture) {
	v, other := f.user(t, "ada", core.RoleMember), f.user(t, "bob", core.RoleMember)
	first := f.file(t, v)
	for _, who := range []core.Actor{v, other} {
		again := f.unstored(who, func(file *core.File) { file.ID = first.ID })
		f.reserve(t, again.Blob)
		wantCode(t, f.CreateFile(f.ctx, nil, again, 5), core.CodeConflict)
		same(t, "Version after a failure", again.Version, int64(0))
		ok(t, f.RenewBlob(f.ctx, again.Blob, f.at(2_000_000)))
	}
	got, err := f.File(f.ctx, v, first.ID)
	ok(t, err)
	same(t, "the first file", got, first)
	f.wantUsage(t, v, 10)
	f.wantUsage(t, other, 0)
}

func testFileVisibility(t *testing.T, f *fixture) {
	owner, reader := f.user(t, "owner", core.RoleMember), f.user(t, "reader", core.RoleViewer)
	for _, c := range []struct {
		name         string
		owner, actor core.Actor
		seen         bool
	}{
		{"owner", owner, owner, true},
		{"viewer, own", reader, reader, true},
		{"viewer, another's", owner, reader, false},
		{"member, another's", owner, f.user(t, "member", core.RoleMember), false},
		{"admin", owner, f.user(t, "admin", core.RoleAdmin), true},
		{"nobody", owner, core.Actor{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := f.file(t, c.owner, func(file *core.File) { file.Name = c.name })
			check := func(what string, err error) {
				t.Helper()
				if c.seen {
					ok(t, err)
				} else if err == nil || err.Error() != core.NotFound("file", file.ID).Error() {
					t.Errorf("%s: got %v, want the error for a missing file", what, err)
				}
			}
			_, err := f.File(f.ctx, c.actor, file.ID)
			check("File", err)
			seen := 0
			if c.seen {
				seen = 1
			}
			list, total, err := f.Files(f.ctx, c.actor, core.FileFilter{Name: c.name, Page: core.Page{Limit: 5}})
			ok(t, err)
			same(t, "listed", []int{len(list), total}, []int{seen, seen})

			changed := *file
			changed.Name = c.name + " changed"
			check("UpdateFile", f.UpdateFile(f.ctx, nil, c.actor, &changed))
			if !c.seen {
				got, err := f.File(f.ctx, c.owner, file.ID)
				ok(t, err)
				same(t, "File after a refusal", got, file)
			}
			blob, err := f.DeleteFile(f.ctx, nil, c.actor, file.ID, 0, f.now)
			check("DeleteFile", err)
			if !c.seen {
				same(t, "blob of a refused delete", blob, core.Blob{})
				_, err = f.File(f.ctx, c.owner, file.ID)
				ok(t, err)
			}
		})
	}
}

func testFileUpdate(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	file := f.file(t, v)
	stale := *file
	change := core.File{
		ID: file.ID, Name: "Neu.md", Metadata: json.RawMessage(`{"n": 1}`), Version: 1, UpdatedAt: f.at(9),
		Size: 99, ContentType: "x/y", SHA256: "other", CreatedBy: "somebody", CreatedAt: f.at(7), Blob: newBlob("s3"),
	}
	ok(t, f.UpdateFile(f.ctx, nil, v, &change))
	same(t, "increased Version", change.Version, int64(2))
	want := *file
	want.Name, want.Metadata, want.Version, want.UpdatedAt = "Neu.md", change.Metadata, 2, f.at(9)
	got, err := f.File(f.ctx, v, file.ID)
	ok(t, err)
	same(t, "File", got, &want)
	f.wantUsage(t, v, 10)
	list, _, err := f.Files(f.ctx, v, core.FileFilter{Name: "neu", Page: core.Page{Limit: 5}})
	ok(t, err)
	same(t, "found by its new name", fileIDs(list), []string{file.ID})

	wantCode(t, f.UpdateFile(f.ctx, nil, v, &stale), core.CodePreconditionFailed)
	same(t, "Version after a failure", stale.Version, int64(1))
	stale.Version = 0
	wantCode(t, f.UpdateFile(f.ctx, nil, v, &stale), core.CodePreconditionFailed)
	ok(t, f.UpdateFile(f.ctx, nil, v, &change)) // change.Version was increased
	change.ID = "file-none"
	wantCode(t, f.UpdateFile(f.ctx, nil, v, &change), core.CodeNotFound)
}

// testFileUpdateAtOnce checks that one of many concurrent updates of the same version succeeds.
func testFileUpdateAtOnce(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	file := f.file(t, v)
	var wins atomic.Int32
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			change := *file
			change.Name = fmt.Sprint("name ", i)
			switch err := f.UpdateFile(f.ctx, nil, v, &change); {
			case err == nil:
				wins.Add(1)
			case core.CodeOf(err) != core.CodePreconditionFailed:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	same(t, "winners of 20", wins.Load(), int32(1))
}

func testFileDelete(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	file, kept := f.file(t, v), f.file(t, v)
	ok(t, f.UpdateFile(f.ctx, nil, v, file))
	for _, version := range []int64{1, 3} {
		_, err := f.DeleteFile(f.ctx, nil, v, file.ID, version, f.at(5))
		wantCode(t, err, core.CodePreconditionFailed)
	}
	_, err := f.File(f.ctx, v, file.ID)
	ok(t, err)
	f.wantUsage(t, v, 20)
	f.wantClaimed(t, f.at(1_000_000)) // a rejected delete adds no pending blob

	blob, err := f.DeleteFile(f.ctx, nil, v, file.ID, 2, f.at(5))
	ok(t, err)
	same(t, "blob", blob, file.Blob)
	_, err = f.File(f.ctx, v, file.ID)
	wantCode(t, err, core.CodeNotFound)
	_, err = f.DeleteFile(f.ctx, nil, v, file.ID, 0, f.at(5))
	wantCode(t, err, core.CodeNotFound)
	f.wantUsage(t, v, 10)

	// The blob is pending and due at the requested time.
	back := f.unstored(v, func(file *core.File) { file.Blob = blob })
	wantCode(t, f.CreateFile(f.ctx, nil, back, 0), core.CodeConflict)
	wantCode(t, f.RenewBlob(f.ctx, blob, f.at(100)), core.CodeConflict)
	wantCode(t, f.ReserveBlob(f.ctx, blob, f.at(100)), core.CodeConflict)
	f.wantClaimed(t, f.at(4))
	f.wantClaimed(t, f.at(5), core.PendingBlob{Blob: blob, Attempts: 1})
	_, err = f.File(f.ctx, v, kept.ID)
	ok(t, err)
}

// testFileDeleteAtOnce checks that concurrent deletes delete a file and reduce the usage only once.
func testFileDeleteAtOnce(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	file, kept := f.file(t, v), f.file(t, v)
	var wins atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			switch _, err := f.DeleteFile(f.ctx, nil, v, file.ID, 0, f.now); {
			case err == nil:
				wins.Add(1)
			case core.CodeOf(err) != core.CodeNotFound:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	same(t, "winners of 20", wins.Load(), int32(1))
	f.wantUsage(t, v, kept.Size)
}

func testFileList(t *testing.T, f *fixture) {
	v, other := f.user(t, "ada", core.RoleMember), f.user(t, "bob", core.RoleMember)
	var want, all []string // newest first, the later id first in the same microsecond
	for i := range 6 {
		at := func(file *core.File) { file.CreatedAt = f.at(i / 2) }
		want = append([]string{f.file(t, v, at).ID}, want...)
		all = append([]string{want[0]}, all...)
		all = append([]string{f.file(t, other, at).ID}, all...)
	}
	for offset := range 7 {
		list, total, err := f.Files(f.ctx, v, core.FileFilter{Page: core.Page{Limit: 2, Offset: offset}})
		ok(t, err)
		same(t, "total", total, 6)
		same(t, fmt.Sprint("from ", offset), fileIDs(list), want[offset:min(offset+2, 6)])
	}
	list, total, err := f.Files(f.ctx, admin, core.FileFilter{Page: core.Page{Limit: 100}})
	ok(t, err)
	same(t, "an admin's total", total, 12)
	same(t, "files of an admin", fileIDs(list), all)
}

func testFileFilter(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	for _, c := range []struct{ name, contentType string }{
		{"Report_2026 100%.PDF", "application/pdf"},
		{"report-2026 1000.pdf", "application/pdf"},
		{"ÜBERSICHT!.txt", "text/plain; charset=utf-8"},
		{`back\slash's.txt`, "text/plain"},
		{"photo.png", "image/png"},
		{"drawing.svg", "image/svg+xml"},
		{"odd", "text/plainer"},
		{"odder", "imagery/x"},
	} {
		f.file(t, v, func(file *core.File) { file.Name, file.ContentType = c.name, c.contentType })
	}
	f.file(t, f.user(t, "bob", core.RoleMember)) // not visible to v
	for _, c := range []struct {
		filter core.FileFilter
		want   []string
	}{
		{core.FileFilter{Name: "REPORT"}, []string{"report-2026 1000.pdf", "Report_2026 100%.PDF"}},
		{core.FileFilter{Name: "rt_2"}, []string{"Report_2026 100%.PDF"}},
		{core.FileFilter{Name: "100%"}, []string{"Report_2026 100%.PDF"}},
		{core.FileFilter{Name: "übersicht!"}, []string{"ÜBERSICHT!.txt"}},
		{core.FileFilter{Name: `K\S`}, []string{`back\slash's.txt`}},
		{core.FileFilter{Name: "h's"}, []string{`back\slash's.txt`}},
		{core.FileFilter{Name: "\u212a"}, []string{`back\slash's.txt`}}, // the Kelvin sign folds to k
		{core.FileFilter{Name: "none of them"}, nil},
		{core.FileFilter{Name: "?"}, nil},
		{core.FileFilter{Name: strings.Repeat("%", 60_000)}, nil},
		{core.FileFilter{ContentType: "text/plain"}, []string{`back\slash's.txt`, "ÜBERSICHT!.txt"}},
		{core.FileFilter{ContentType: "Text/PLAIN"}, []string{`back\slash's.txt`, "ÜBERSICHT!.txt"}},
		{core.FileFilter{ContentType: "text/plain; charset=utf-8"}, []string{"ÜBERSICHT!.txt"}},
		{core.FileFilter{ContentType: "image/*"}, []string{"drawing.svg", "photo.png"}},
		{core.FileFilter{ContentType: "image/svg+xml"}, []string{"drawing.svg"}},
		{core.FileFilter{ContentType: "image"}, nil},
		{core.FileFilter{ContentType: "image/%"}, nil},
		{core.FileFilter{ContentType: "imag_/*"}, nil},
		{core.FileFilter{ContentType: "%/*"}, nil},
		{core.FileFilter{ContentType: strings.Repeat("x", 60_000) + "/*"}, nil},
		{core.FileFilter{ContentType: "text/*", Name: ".TXT"}, []string{`back\slash's.txt`, "ÜBERSICHT!.txt"}},
		{core.FileFilter{ContentType: "text/*", Name: "odd"}, []string{"odd"}},
	} {
		what := fmt.Sprintf("%.20q %.20q", c.filter.Name, c.filter.ContentType)
		c.filter.Limit = 10
		list, total, err := f.Files(f.ctx, v, c.filter)
		ok(t, err)
		same(t, what, ids(list, func(f *core.File) string { return f.Name }), c.want)
		same(t, what+" total", total, len(c.want))
		c.filter.Limit = 1
		list, total, err = f.Files(f.ctx, v, c.filter)
		ok(t, err)
		same(t, what+" page", []int{len(list), total}, []int{min(1, len(c.want)), len(c.want)})
	}
}

func testFileQuota(t *testing.T, f *fixture) {
	v, other := f.user(t, "ada", core.RoleMember), f.user(t, "bob", core.RoleMember)
	create := func(v core.Actor, size, quota int64) (*core.File, error) {
		file := f.unstored(v, func(file *core.File) { file.Size = size })
		f.reserve(t, file.Blob)
		return file, f.CreateFile(f.ctx, nil, file, quota)
	}
	first, err := create(v, 60, 100)
	ok(t, err)
	_, err = create(v, 40, 100) // exactly the quota
	ok(t, err)
	over, err := create(v, 1, 100)
	wantCode(t, err, core.CodePayloadTooLarge)
	var e *core.Error
	want := "Your files would exceed the limit of 100 bytes per user. You use 100 bytes. Delete some files first"
	if !errors.As(err, &e) || e.Message != want {
		t.Fatalf("got error %v, want message %q", err, want)
	}
	_, err = create(v, 0, 100)
	ok(t, err)
	_, err = create(other, 100, 100)
	ok(t, err)
	f.wantUsage(t, v, 100)

	// The rejected file is not stored and its blob is still reserved.
	_, err = f.File(f.ctx, v, over.ID)
	wantCode(t, err, core.CodeNotFound)
	ok(t, f.CreateFile(f.ctx, nil, over, 101))
	_, err = create(v, 1000, 0) // no quota
	ok(t, err)
	f.wantUsage(t, v, 1101)
	_, err = create(v, 1, 100) // the quota is below the current usage
	wantCode(t, err, core.CodePayloadTooLarge)

	// A delete by an admin reduces the usage of the owner.
	_, err = f.DeleteFile(f.ctx, nil, admin, first.ID, 0, f.now)
	ok(t, err)
	f.wantUsage(t, v, 1041)
	f.wantUsage(t, admin, 0)
}

// testFileQuotaAtOnce checks that concurrent creates use the whole quota and never exceed it.
func testFileQuotaAtOnce(t *testing.T, f *fixture) {
	v := f.user(t, "ada", core.RoleMember)
	var stored atomic.Int64
	var wg sync.WaitGroup
	for range 50 {
		file := f.unstored(v, func(file *core.File) { file.Size = 7 })
		f.reserve(t, file.Blob)
		wg.Go(func() {
			switch err := f.CreateFile(f.ctx, nil, file, 100); {
			case err == nil:
				stored.Add(1)
			case core.CodeOf(err) != core.CodePayloadTooLarge:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	same(t, "stored", stored.Load(), int64(14))
	f.wantUsage(t, v, 98)
	_, total, err := f.Files(f.ctx, v, core.FileFilter{})
	ok(t, err)
	same(t, "listed", total, 14)
}
