package files

import (
	"errors"
	"testing"

	"github.com/agentarea/agentarea/core"
)

func TestMessageParts(t *testing.T) {
	t.Parallel()
	r := newEnv(t)
	one, two := r.mustUpload("1"), r.mustUpload("2")
	parts, err := r.MessageParts(t.Context(), r.ada, "Read these", []string{two.ID, one.ID})
	if err != nil || len(parts) != 3 || parts[0].Text != "Read these" || *parts[1].File != *two.Ref() ||
		*parts[2].File != *one.Ref() {
		t.Errorf("MessageParts() = %+v, %v, want the text and both files in the order of their ids", parts, err)
	}
	parts, err = r.MessageParts(t.Context(), r.ada, "Hello", nil)
	if err != nil || len(parts) != 1 || parts[0].Text != "Hello" {
		t.Errorf("MessageParts() = %+v, %v, want the text", parts, err)
	}
}

func TestMessageParts_invalid(t *testing.T) {
	t.Parallel()
	r := newEnv(t)
	file := r.mustUpload("1").ID
	bob := r.user("bob")
	admin := core.Actor{UserID: bob.UserID, Role: core.RoleAdmin}
	for name, c := range map[string]struct {
		actor        core.Actor
		ids          []string
		field, issue string
	}{
		"a duplicate":         {r.ada, []string{file, file}, "file_ids", `Contains a duplicate: "` + file + `"`},
		"a missing file":      {r.ada, []string{file, "file-0"}, "file_ids[1]", `File "file-0" does not exist. Upload it with POST /v1/files/upload.`},
		"of another user":     {bob, []string{file}, "file_ids[0]", `File "` + file + `" does not exist. Upload it with POST /v1/files/upload.`},
		"of another, by root": {admin, []string{file}, "file_ids[0]", `File "` + file + `" does not exist. Upload it with POST /v1/files/upload.`},
	} {
		_, err := r.MessageParts(t.Context(), c.actor, "Read these", c.ids)
		var e *core.Error
		if !errors.As(err, &e) || e.Code != core.CodeValidation ||
			e.Fields[0] != (core.FieldError{Field: c.field, Issue: c.issue}) {
			t.Errorf("%s: MessageParts(%q) = %v, want %s: %s", name, c.ids, err, c.field, c.issue)
		}
	}
}
