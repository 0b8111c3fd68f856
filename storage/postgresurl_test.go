package storage

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPostgresURLs_hosted checks the forms of URLs that hosted PostgreSQL services show to their users.
func TestPostgresURLs_hosted(t *testing.T) {
	t.Parallel()
	// Each field of want is "name=value" of the parsed settings.
	for name, c := range map[string]struct{ url, want string }{
		"no parameter":       {"postgres://u:p@db.example/d", "hosts=db.example:5432 tls=verified user=u password=p database=d"},
		"a local server":     {"postgresql://u@localhost/d", "hosts=localhost:5432 tls=none password="},
		"a loopback address": {"postgres://u@[::1]:5433/d", "hosts=::1:5433 tls=none"},
		"encoded characters": {"postgres://u%40x:p%2F%40%3A%25+@h/d%20e", "user=u@x password=p/@:%+ database=d e"},
		"raw characters":     {"postgres://u:p:q?r#s'\\t@h/d", `password=p:q?r#s'\t`},
		"a Unix socket":      {"postgres://u:p@/d?host=/cloudsql/project:region:name", "hosts=/cloudsql/project:region:name:5432 tls=none"},
		"an encoded socket":  {"postgres://u@%2Fvar%2Frun/d", "hosts=/var/run:5432"},
		"require":            {"postgres://u:p@h/d?sslmode=require", "hosts=h:5432 tls=encrypted"},
		"prefer":             {"postgres://u:p@h/d?sslmode=prefer", "hosts=h:5432,h:5432 tls=encrypted,none"},
		"allow":              {"postgres://u:p@h/d?sslmode=allow", "tls=none,encrypted"},
		"disable":            {"postgres://u:p@h/d?sslmode=disable", "hosts=h:5432 tls=none"},
		"channel binding": {
			"postgresql://u:p@ep-x.region.aws.neon.example/d?sslmode=require&channel_binding=require",
			"binding=require tls=encrypted hosts=ep-x.region.aws.neon.example:5432",
		},
		"a timeout":     {"postgres://u:p@h/d?connect_timeout=10", "timeout=10s"},
		"no timeout":    {"postgres://u:p@h/d", "timeout=5s"},
		"options":       {"postgres://u:p@h/d?options=endpoint%3Dep-x%20-c%20geqo%3Doff", "options=endpoint=ep-x -c geqo=off"},
		"a name":        {"postgres://u:p@h/d?application_name=bot", "application_name=bot"},
		"no name":       {"postgres://u:p@h/d", "application_name=agentarea"},
		"several hosts": {"postgres://u:p@h1:5433,h2,h3:5434/d", "hosts=h1:5433,h2:5432,h3:5434 validated=true"},
		"primary only":  {"postgres://u:p@h1,h2/d?target_session_attrs=primary", "hosts=h1:5432,h2:5432 validated=true"},
		"any host":      {"postgres://u:p@h1,h2/d?target_session_attrs=any", "validated=false"},
		"one host":      {"postgres://u:p@h1/d?target_session_attrs=read-write", "validated=true"},
		"hosts as parameters": {
			"postgres://u:p@/d?host=h1,h2&port=5433,5434&sslmode=disable", "hosts=h1:5433,h2:5434 tls=none,none",
		},
		"one port of many hosts": {"postgres://u:p@/d?host=h1,h2&port=5433", "hosts=h1:5433,h2:5433"},
		"keepalives":             {"postgres://u:p@h/d?keepalives=1&keepalives_idle=30&gssencmode=disable", "hosts=h:5432"},
		"the system's roots":     {"postgres://u:p@h/d?sslrootcert=system", "tls=verified"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := parsePostgres(c.url)
			if err != nil {
				t.Fatalf("parsePostgres(%q): %v", c.url, err)
			}
			got := describe(d)
			// A value may contain a space.
			for field := range strings.SplitSeq(c.want, " ") {
				if !strings.Contains(" "+got+" ", field+" ") {
					t.Errorf("parsePostgres(%q) = %s, want %s", c.url, got, field)
				}
			}
		})
	}
}

// describe returns the settings of a URL.
func describe(d *postgresDialect) string {
	c := d.config.ConnConfig
	hosts, tls := []string{fmt.Sprintf("%s:%d", c.Host, c.Port)}, []string{"none"}
	for _, f := range c.Fallbacks {
		hosts, tls = append(hosts, fmt.Sprintf("%s:%d", f.Host, f.Port)), append(tls, "none")
		if f.TLSConfig != nil {
			tls[len(tls)-1] = "encrypted"
		}
	}
	if c.TLSConfig != nil {
		tls[0] = "verified"
		if c.TLSConfig.InsecureSkipVerify {
			tls[0] = "encrypted"
		}
	}
	return fmt.Sprintf("hosts=%s tls=%s user=%s password=%s database=%s timeout=%s binding=%s options=%s "+
		"application_name=%s validated=%t", strings.Join(hosts, ","), strings.Join(tls, ","), c.User, c.Password, c.Database,
		c.ConnectTimeout, c.ChannelBinding, c.RuntimeParams["options"], c.RuntimeParams["application_name"],
		c.ValidateConnect != nil)
}

// TestPostgresURLs_invalid checks that the error of a URL that is not valid names the fault and a remedy, and does not
// contain the password.
func TestPostgresURLs_invalid(t *testing.T) {
	t.Parallel()
	notPEM := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(notPEM, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	const canary = "cAnArY"
	for url, want := range map[string]string{
		"postgres://u:" + canary + "@h/d?sslmode=on":                                   "sslmode of the database URL is not valid: use verify-full, verify-ca, require, prefer, allow or disable",
		"postgres://u:" + canary + "@h/d?channel_binding=on":                           "channel_binding of the database URL is not valid: use prefer, require or disable",
		"postgres://u:" + canary + "@h/d?target_session_attrs=standby":                 "target_session_attrs of the database URL is not valid: use read-write, primary or any",
		"postgres://u:" + canary + "@h/d?connect_timeout=3s":                           "connect_timeout of the database URL is not valid: use a number of seconds from 1 to 60",
		"postgres://u:" + canary + "@h/d?connect_timeout=0":                            "a number of seconds from 1 to 60",
		"postgres://u:" + canary + "@h/d?require_auth=magic":                           "require_auth of the database URL is not valid",
		"postgres://u:" + canary + "@h/d?sslmod=require":                               `unknown parameter "sslmod": remove it (known: application_name, `,
		"postgres://u:" + canary + "@h/d?" + canary + "=1":                             "an unknown parameter: remove it",
		"postgres://u@h/d?password=" + canary:                                          "has password as a parameter: use postgres://user:password@host",
		"postgres://u:" + canary + "@h/d?pgbouncer=true":                               "pool_mode = session",
		"postgres://u:" + canary + "@h":                                                "no user or no database",
		"postgres://" + canary + "/d":                                                  "no user: use postgres://user:password@host",
		"postgres:///d?user=u&password=" + canary:                                      "no user",
		"postgres://u:" + canary + "@/d":                                               "no host",
		"postgres://u:" + canary + "@h,/d":                                             "no host",
		"postgres://u:" + canary + "@h:port/d":                                         "port of the database URL is not a number",
		"postgres://u:x@h:" + canary + "/d":                                            "port of the database URL is not a number",
		"postgres://u:x@h:0/d":                                                         "port of the database URL is not a number",
		"postgres://u:x@/d?host=h1,h2,h3&port=1,2":                                     "3 hosts but 2 ports",
		"postgres://u:" + canary + "@" + canary + "@h/d":                               "a second @: encode special characters of the password: @ as %40",
		"postgres://u:a/" + canary + "@h/d":                                            "encode special characters of the password: / as %2F",
		"postgres://u:a/" + canary + "?" + canary + "=x@h/d":                           "no user",
		"postgres://u:%zz" + canary + "@h/d":                                           "encode a % of the password as %25",
		"postgres://u:" + canary + "%@h/d":                                             "encode a % of the password as %25",
		"postgres://u:" + canary + "%00@h/d":                                           "is not valid",
		"postgres://u:" + canary + "@h/d?sslrootcert=/none/ca.pem":                     "sslrootcert of the database URL: open /none/ca.pem",
		"postgres://u:" + canary + "@h/d?sslrootcert=" + notPEM:                        "are not PEM files",
		"postgres://u:" + canary + "@h/d?sslcert=/none/c.pem&sslkey=/none/k.pem":       "sslcert of the database URL: open /none/c.pem",
		"postgres://u:" + canary + "@h/d?sslcert=" + notPEM + "&sslkey=/none/k.pem":    "sslkey of the database URL: open /none/k.pem",
		"postgres://u:" + canary + "@h/d?sslcert=" + notPEM:                            "only one of sslcert and sslkey",
		"postgres://u:" + canary + "@h/d?sslcert=" + notPEM + "&sslkey=" + notPEM:      "are not PEM files",
		"postgres://u:x@h/d?sslpassword=" + canary + "&sslcert=" + notPEM + "&sslkey=": "only one of sslcert and sslkey",
	} {
		_, err := parsePostgres(url)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), canary) {
			t.Errorf("parsePostgres(%q) = %v, want an error with %q and without the password", url, err, want)
		}
		if got := PublicURL(url); strings.Contains(got, canary) {
			t.Errorf("PublicURL(%q) = %q, which contains the password", url, got)
		}
	}
}

func TestPublicURL(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"sqlite:///srv/a.db": "sqlite:///srv/a.db",
		"postgres://u:secret@h1,h2:5433/d?sslmode=require&sslpassword=secret": "postgres://u@h1:5432,h2:5433/d",
		"mysql://u:secret@h/d": "(not a valid URL)",
		"secret":               "(not a valid URL)",
	} {
		if got := PublicURL(url); got != want {
			t.Errorf("PublicURL(%q) = %q, want %q", url, got, want)
		}
	}
}
