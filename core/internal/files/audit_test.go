package files

import (
	"context"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core"
)

// wantAudit checks the targets of the audit entries of an action.
func (r *env) wantAudit(action string, targets ...string) {
	r.t.Helper()
	entries, _, err := r.db.Audit(r.t.Context(), core.AuditFilter{Action: action, Page: core.Page{Limit: 10}})
	if err != nil {
		r.t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Target)
	}
	if strings.Join(got, " ") != strings.Join(targets, " ") || len(got) != len(targets) {
		r.t.Errorf("audit entries of %s have targets %q, want %q", action, got, targets)
	}
}

func auditRecord(action string) *core.AuditRecord {
	return &core.AuditRecord{AuditEntry: core.AuditEntry{Action: action}}
}

func TestAudit(t *testing.T) {
	t.Parallel()
	r := newEnv(t)
	upload := &core.Upload{Name: "notes.txt", Body: strings.NewReader("content")}
	f, err := r.Upload(t.Context(), auditRecord("upload-file"), r.ada, upload)
	if err != nil {
		t.Fatal(err)
	}
	r.mustUpload("another")
	r.wantAudit("upload-file", f.ID)

	move := auditRecord("move-files")
	if err := r.Move(t.Context(), move, "local", "s3", func(core.MoveProgress) {}); err != nil {
		t.Fatal(err)
	}
	r.wantAudit("move-files", "")
	if move.Claim() {
		t.Error("the move has not claimed its audit record")
	}

	if err := r.Delete(t.Context(), auditRecord("delete-file"), r.ada, f.ID, 0); err != nil {
		t.Fatal(err)
	}
	r.wantAudit("delete-file", "")
}

// An upload that fails after its bytes were stored deletes them. That is not a change of the user.
func TestAuditOfFailedUpload(t *testing.T) {
	t.Parallel()
	r := newEnv(t, func(o *Options) { o.Limits = Limits{UserTotal: 8000} })
	r.local.put = func(context.Context, string, *[]byte) error {
		r.local.set(func(b *memoryBackend) { b.put = nil })
		r.mustUpload(pad(5000))
		return nil
	}
	audit := auditRecord("upload-file")
	_, err := r.Upload(t.Context(), audit, r.ada, &core.Upload{Name: "big", Body: strings.NewReader(pad(5000))})
	wantCode(t, err, core.CodePayloadTooLarge, "8000 bytes")
	r.wantAudit("upload-file")
	if !audit.Claim() {
		t.Error("the failed upload has claimed its audit record")
	}
}
