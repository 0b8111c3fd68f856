package files

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/test/testenv"
)

// move moves files from local to s3. It returns the last report and the reports of failures.
func (r *env) move(f *Files) (last core.MoveProgress, failed []core.MoveProgress, err error) {
	err = f.Move(r.t.Context(), nil, "local", "s3", func(p core.MoveProgress) {
		last = p
		if p.Error != nil {
			failed = append(failed, p)
		}
	})
	return last, failed, err
}

// wantMoved checks that a file is in s3 and readable.
func (r *env) wantMoved(file *core.File, content string) {
	r.t.Helper()
	now, err := r.db.File(r.t.Context(), r.ada, file.ID)
	if err != nil {
		r.t.Fatal(err)
	}
	if now.Blob.Backend != "s3" || now.SHA256 != file.SHA256 || r.read(now) != content {
		r.t.Errorf("file with content %q = %+v, want it in s3", content, now)
	}
}

func TestMove(t *testing.T) {
	t.Parallel()
	r := newEnv(t)
	files := map[string]*core.File{}
	for i := range 2*movePage + 3 {
		content := fmt.Sprint("content ", i)
		files[content] = r.mustUpload(content)
	}
	// A download that started before the move reads the old bytes.
	var old *core.File
	for _, old = range files {
		break
	}
	before := r.Open(t.Context(), old)
	defer before.Close()
	last, failed, err := r.move(r.Files)
	if err != nil || len(failed) > 0 || last.Files != len(files) || last.TotalFiles != len(files) ||
		last.Bytes != last.TotalBytes {
		t.Errorf("got last report %+v, failures %v and error %v, want %d moved files", last, failed, err, len(files))
	}
	for content, f := range files {
		r.wantMoved(f, content)
	}
	if err := r.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(before); err != nil || !strings.HasPrefix(string(data), "content ") {
		t.Errorf("download that started before the move: got %q (%v), want the old content", data, err)
	}
	if n := r.pendingBlobs(); n != len(files) {
		t.Errorf("got %d pending blobs, want the %d old ones", n, len(files))
	}
}

func TestMoveRejectsUnknownLabels(t *testing.T) {
	t.Parallel()
	r := newEnv(t)
	for field, ends := range map[string][2]string{"from": {"tape", "s3"}, "to": {"local", "tape"}} {
		err := r.Move(t.Context(), nil, ends[0], ends[1], nil)
		var e *core.Error
		if !errors.As(err, &e) || len(e.Fields) != 1 || e.Fields[0].Field != field ||
			!strings.Contains(e.Fields[0].Issue, `"tape". Labels in plugins.hcl: local, s3`) {
			t.Errorf("Move %v: got error %v, want field %s with the known labels", ends, err, field)
		}
	}
	wantCode(t, r.Move(t.Context(), nil, "s3", "s3", nil), core.CodeValidation, "")
}

func TestConcurrentMoveIsRejected(t *testing.T) {
	t.Parallel()
	r := newEnv(t)
	r.mustUpload("x")
	other := errors.New("not asked")
	r.backends["s3"].put = func(context.Context, string, *[]byte) error {
		_, _, other = r.move(r.Files)
		return nil
	}
	if _, _, err := r.move(r.Files); err != nil {
		t.Error(err)
	}
	wantCode(t, other, core.CodeConflict, "in progress")
}

// The error of a move has the backend's reason, and a code that says whether another attempt may succeed.
func TestMove_backendReason(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		failure *sdk.Error
		code    core.Code
		want    string
	}{
		{&sdk.Error{Code: sdk.CodeUnavailable, Message: "S3 responded with status 503"}, core.CodeUnavailable, "not available"},
		{&sdk.Error{Code: sdk.CodeUnauthorized, Message: "S3 has no bucket \"b\""}, core.CodeUpstream, "credentials"},
		{&sdk.Error{Code: sdk.CodeInternal, Message: "S3 rejected the request"}, core.CodeUpstream, "The file backend failed."},
		{&sdk.Error{Code: sdk.CodeInvalidRequest, Message: "the key is too long"}, core.CodeUpstream, "The file backend failed."},
		{&sdk.Error{Code: sdk.CodeNoSpace, Message: "the quota is used up"}, core.CodeInsufficientStorage, "no free space"},
	} {
		t.Run(fmt.Sprint(tt.failure.Code), func(t *testing.T) {
			t.Parallel()
			r := newEnv(t)
			r.mustUpload("x")
			r.backends["s3"].put = func(context.Context, string, *[]byte) error { return tt.failure }
			_, _, err := r.move(r.Files)
			wantCode(t, err, tt.code, tt.want)
			wantCode(t, err, tt.code, "It reports: "+tt.failure.Message)
		})
	}
}

// A damaged or missing file is reported and not moved; the others are moved.
func TestMoveSkipsDamagedFiles(t *testing.T) {
	t.Parallel()
	r := newEnv(t)
	good, changed, lost := r.mustUpload("good"), r.mustUpload("changed"), r.mustUpload("lost")
	r.local.objects[changed.Blob.Key] = []byte("CHANGED")
	delete(r.local.objects, lost.Blob.Key)
	last, failed, err := r.move(r.Files)
	if err != nil || last.Files != 1 || last.Failed != 2 || last.Bytes != 4 || len(failed) != 2 {
		t.Errorf("got last report %+v, failures %v and error %v, want 1 moved and 2 failed files", last, failed, err)
	}
	for _, p := range failed {
		if p.FileID == changed.ID && !strings.Contains(p.Error.Error(), "checksum") || p.FileID == lost.ID &&
			!strings.Contains(p.Error.Error(), "are missing") {
			t.Errorf("%s: got failure %v, want the checksum or the missing bytes", p.FileID, p.Error)
		}
	}
	r.wantMoved(good, "good")
	for _, f := range []*core.File{changed, lost} {
		now, err := r.db.File(t.Context(), r.ada, f.ID)
		if err != nil || now.Blob != f.Blob {
			t.Errorf("got %+v (%v), want the file unchanged", now, err)
		}
	}
	if n := len(r.backends["s3"].keys()); n != 1 {
		t.Errorf("got %d blobs in s3, want 1", n)
	}
}

func TestMoveOfAFileThatIsDeletedConcurrently(t *testing.T) {
	t.Parallel()
	r := newEnv(t)
	f := r.mustUpload("x")
	r.backends["s3"].put = func(context.Context, string, *[]byte) error {
		return r.Delete(t.Context(), nil, r.ada, f.ID, 0)
	}
	last, failed, err := r.move(r.Files)
	if err != nil || last.Files != 0 || len(failed) > 0 {
		t.Errorf("got last report %+v, failures %v and error %v, want no moved files", last, failed, err)
	}
	if err := r.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(r.backends["s3"].keys()) > 0 || len(r.local.keys()) > 0 {
		t.Errorf("got blobs %v in s3 and %v in local, want none", r.backends["s3"].keys(), r.local.keys())
	}
}

func TestMoveResumes(t *testing.T) {
	t.Parallel()
	r := newEnv(t)
	var files []*core.File
	for i := range 5 {
		files = append(files, r.mustUpload(fmt.Sprint(i)))
	}
	puts := 0
	r.backends["s3"].put = func(context.Context, string, *[]byte) error {
		if puts++; puts > 2 {
			return &sdk.Error{Code: sdk.CodeUnavailable, Message: "down"}
		}
		return nil
	}
	last, _, err := r.move(r.Files)
	wantCode(t, err, core.CodeUnavailable, `"s3" is not available`)
	moved := last.Files
	r.backends["s3"].set(func(s *memoryBackend) { s.put = nil })
	last, _, err = r.move(r.Files)
	if err != nil || last.Files != 5-moved || last.TotalFiles != 5-moved {
		t.Errorf("Move after %d files: got %+v (%v), want the other %d files", moved, last, err, 5-moved)
	}
	for i, f := range files {
		r.wantMoved(f, fmt.Sprint(i))
	}
}

// TestFilesStayConsistentAcrossCrashes uploads, deletes, moves and sweeps in random order, with crashes.
// In the end each file is complete, and no other bytes remain.
func TestFilesStayConsistentAcrossCrashes(t *testing.T) {
	t.Parallel()
	if err := flag.Set("rapid.checks", strconv.Itoa(testenv.Rounds(20, 100))); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		r := newEnv(t)
		contents := map[string]string{} // of the files that were acknowledged
		for step := range rapid.IntRange(1, 12).Draw(rt, "steps") {
			action := rapid.SampledFrom([]string{"upload", "upload", "delete", "move", "sweep", "fail"}).Draw(rt, "action")
			places := []string{"never", "never", "reserve", "create", "delete", "drop"}
			if action == "move" {
				places = []string{"never", "move"}
			}
			d := &crashingStore{FileStore: r.db}
			if place := rapid.SampledFrom(places).Draw(rt, "crash"); rapid.Bool().Draw(rt, "before") {
				d.before = place
			} else {
				d.after = place
			}
			restarted := r.restart(func(o *Options) {
				o.Store, o.Times = d, Times{Reserve: time.Nanosecond, Grace: time.Nanosecond}
			})
			func() {
				defer func() {
					if p := recover(); p != nil && p != (crash{}) {
						panic(p)
					}
				}()
				r.act(restarted, action, fmt.Sprint("content of step ", step), contents)
			}()
		}
		last := r.restart()
		for _, o := range claimAll(t, r) {
			if err := last.remove(t.Context(), o.Blob); err != nil {
				rt.Fatal(err)
			}
		}
		files, total, err := r.db.Files(t.Context(), r.ada, core.FileFilter{Page: core.Page{Limit: 100}})
		if err != nil {
			rt.Fatal(err)
		}
		var size int64
		named := map[core.Blob]bool{}
		for _, f := range files {
			named[f.Blob], size = true, size+f.Size
			content := r.read(f)
			if want, ok := contents[f.ID]; ok && content != want {
				rt.Errorf("%s: got content %q, want %q", f.ID, content, want)
			}
			delete(contents, f.ID)
		}
		for id := range contents {
			rt.Errorf("%s was acknowledged but does not exist", id)
		}
		for label, s := range r.backends {
			for _, key := range s.keys() {
				if !named[core.Blob{Backend: label, Key: key}] {
					rt.Errorf("blob %s in %s belongs to no file", key, label)
				}
			}
		}
		if used, err := r.db.FileUsage(t.Context(), r.ada.UserID); err != nil || used != size {
			rt.Errorf("got usage %d (%v), want %d bytes of %d files", used, err, size, total)
		}
	})
}

// act performs an action, which a crash may interrupt.
func (r *env) act(f *Files, action, content string, contents map[string]string) {
	ctx := r.t.Context()
	switch action {
	case "upload":
		if file, err := f.Upload(ctx, nil, r.ada, &core.Upload{Name: "a", Body: strings.NewReader(content)}); err == nil {
			contents[file.ID] = content
		}
	case "fail":
		_, _ = f.Upload(ctx, nil, r.ada,
			&core.Upload{Name: "a", Body: io.MultiReader(strings.NewReader(content), failing(io.ErrUnexpectedEOF))})
	case "delete":
		for id := range contents {
			delete(contents, id) // it may be gone, or still be there
			_ = f.Delete(ctx, nil, r.ada, id, 0)
			return
		}
	case "move":
		_ = f.Move(ctx, nil, "local", "s3", func(core.MoveProgress) {})
	case "sweep":
		_ = f.sweep(ctx)
	}
}
