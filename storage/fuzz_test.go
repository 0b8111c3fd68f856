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
		"@h1:1,h2/db?target_session_attrs=any", "@/db?host=h1,h2&port=1,2", "/x?y=z@h/db", "@h/db?options=-c%20a%3Db", "@x@h/db",
	} {
		f.Add(s)
	}
	const password = "a-pass-word"
	f.Fuzz(func(t *testing.T, rest string) {
		for _, skipped := range []string{password, "sslrootcert", "sslcert", "sslkey"} { // files can be of any size
			if strings.Contains(rest, skipped) {
				return
			}
		}
		d, err := parsePostgres("postgres://user:" + password + rest)
		if err != nil {
			if strings.Contains(err.Error(), password) || strings.Contains(PublicURL("postgres://user:"+password+rest), password) {
				t.Errorf("the error contains the password: %v", err)
			}
			return
		}
		if c := d.config.ConnConfig; c.User == "" || c.Database == "" || c.Host == "" || c.Port == 0 {
			t.Errorf("parsePostgres(%q) = %s, want a user, a database and an address", rest, describe(d))
		}
	})
}
