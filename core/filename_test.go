package core

import (
	"errors"
	"strings"
	"testing"
)

func TestCheckFileName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"a", "report.pdf", "Jahresabschluß 2024.xlsx", "...", ".env",
		"עברית\u200f.txt", "100% & <b>.html", strings.Repeat("ü", 255),
	} {
		if err := CheckFileName("name", name); err != nil {
			t.Errorf("CheckFileName(%q) = %v, want nil", name, err)
		}
	}
	for _, name := range []string{
		"", " ", ".", "..", "a/b", `a\b`, "/", "a\x00b", "a\r\nb", "a\tb", "\u0085", "a\xffb",
		"\u202agpj.exe", "gpj\u202e.exe", "a\u2066b", "a\u2069b", strings.Repeat("ü", 256),
	} {
		var e *Error
		if err := CheckFileName("name", name); !errors.As(err, &e) || e.Code != CodeValidation ||
			e.Fields[0].Field != "name" {
			t.Errorf("CheckFileName(%q) = %v, want a validation error of name", name, err)
		}
	}
}
