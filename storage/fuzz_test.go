package storage

import (
	"strings"
	"testing"
)

// FuzzDatabaseURL checks that a parsed URL has everything that a connection needs, and that errors do not
// contain the password.
func FuzzDatabaseURL(f *testing.F) {
	for _, s := range []string{
		"@localhost/db", "@host:5433/db?sslmode=require", "@/db?host=/var/run", "@host", "@[::1]:5432/db", "@h/db?sslmode=x",
		"@h/db?password=y", "@h:port/db", "/x@h/db", "%zz@h/db", "@h/a/b", "@h/db?sslrootcert=/dev/null",
	} {
		f.Add(s)
	}
	const password = "a-pass-word"
	f.Fuzz(func(t *testing.T, rest string) {
		if strings.Contains(rest, password) || strings.Contains(rest, "sslrootcert") {
			return
		}
		d, err := parsePostgres("postgres://user:" + password + rest)
		if err != nil {
			if strings.Contains(err.Error(), password) {
				t.Errorf("the error contains the password: %v", err)
			}
			return
		}
		if d.user == "" || d.database == "" || d.address.address == "" {
			t.Errorf("parsePostgres(%q) = %+v, want a user, a database and an address", rest, d)
		}
	})
}
