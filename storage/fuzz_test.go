package storage

import (
	"strings"
	"testing"
)

// A database's URL has what a connection needs, or a fault that tells no password.
func FuzzDatabaseURL(f *testing.F) {
	for _, s := range []string{"@localhost/db", "@host:5433/db?sslmode=require", "@/db?host=/var/run", "@host", "@[::1]:5432/db", "@h/db?sslmode=x", "@h/db?password=y", "@h:port/db", "/x@h/db", "%zz@h/db", "@h/a/b", "@h/db?sslrootcert=/dev/null"} {
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
				t.Errorf("it tells the password: %v", err)
			}
			return
		}
		if d.user == "" || d.database == "" || d.address.address == "" {
			t.Errorf("%q: %+v", rest, d)
		}
	})
}
