package core

import (
	"context"
	"errors"
	"fmt"
	"strings"
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
	if got := Conflict("It is late").WithField("at").Error(); got != "CONFLICT: It is late" {
		t.Errorf("got %q, want the message once", got)
	}
	want := "VALIDATION_ERROR: Invalid request data (name: at most 100 characters)"
	if got := Invalid("name", "at most %d characters", 100).Error(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Texts of users can contain what looks like a format.
func TestErrors_texts(t *testing.T) {
	t.Parallel()
	const text = "100%d %!s(int=1) %"
	for name, e := range map[string]*Error{
		"Invalid":     Invalid("name", "Unknown name %q", text),
		"NotFound":    NotFound("agent", text),
		"Forbidden":   Forbidden(text),
		"Conflict":    Conflict("The name %q is in use", text),
		"Unavailable": Unavailable("%s is down", text),
		"WithField":   Conflict("The name %q is in use", text).WithField("name"),
		"OfRun":       OfRun(Unavailable("%s is down", text), "run-1").(*Error), //nolint:errorlint,forcetypeassert // it is one
		"parameter":   Invalid("a", "%s", UnknownParameter(text, []string{text})),
		"field":       Invalid("a", "%s", UnknownField(text, []string{"x"})),
	} {
		all := e.Message
		for _, f := range e.Fields {
			all += f.Issue
		}
		if got := strings.ReplaceAll(all, text, ""); strings.Contains(got, "%!") || got == all {
			t.Errorf("%s: got %q, want the text as it is and nothing like it", name, all)
		}
	}
}

func TestOfRun(t *testing.T) {
	t.Parallel()
	if err := OfRun(context.Canceled, "run-1"); !errors.Is(err, context.Canceled) || CodeOf(err) != CodeInternal {
		t.Errorf("OfRun(Canceled) = %v, want it unchanged", err)
	}
	shared := Conflict("Busy")
	var e *Error
	if err := OfRun(fmt.Errorf("start: %w", shared), "run-1"); !errors.As(err, &e) || e.Run.ID != "run-1" || shared.Run != nil {
		t.Errorf("OfRun() = %+v, and the original is %+v, want a copy with the run", e, shared)
	}
	if err := OfRun(nil, "run-1"); err != nil {
		t.Errorf("OfRun(nil) = %v, want nil", err)
	}
}
