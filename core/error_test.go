package core

import (
	"errors"
	"fmt"
	"testing"
)

func TestCodeOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want Code
	}{
		{Invalid("name", "Field is required"), CodeValidation},
		{fmt.Errorf("while doing it: %w", NotFound("agent", "agent-1")), CodeNotFound},
		{Unavailable("the database is away"), CodeUnavailable},
		{errors.New("anything else"), CodeInternal},
		{nil, ""},
	} {
		if got := CodeOf(c.err); got != c.want {
			t.Errorf("CodeOf(%v) = %q, want %q", c.err, got, c.want)
		}
	}
}

func TestErrorIncludesTheInternalCause(t *testing.T) {
	t.Parallel()
	cause := errors.New("disk I/O error")
	err := &Error{Code: CodeUnavailable, Message: "The database is busy", Err: cause}
	if !errors.Is(err, cause) || err.Error() != "SERVICE_UNAVAILABLE: The database is busy: disk I/O error" {
		t.Errorf("got %q, which must wrap and include %q", err, cause)
	}
	want := "VALIDATION_ERROR: Invalid request data (name: at most 100 characters)"
	if got := Invalid("name", "at most %d characters", 100).Error(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
