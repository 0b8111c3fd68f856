package cli

import (
	"path/filepath"
	"strings"
	"testing"
)

// canary is a password that no output may contain.
const canary = "cAnArY"

// malformedURLs are database URLs that cannot be used, with a password at different places.
var malformedURLs = []string{
	"postgres://u:" + canary + "@h:port/d",
	"postgres://u:" + canary + "@h/d?sslmode=x",
	"postgres://u:" + canary + "@h/d?ssl=" + canary,
	"postgres://u:" + canary + "%zz@h/d",
	"postgres://u:a/" + canary + "@h/d",
	"postgres://u:a?" + canary + "=x/@h/d",
	"postgres://u:a@" + canary + "@h/d",
	"postgres://u@h:" + canary + "/d",
	"postgres://u@h/d?password=" + canary,
	"postgres://u@h/d?" + canary,
	"postgres://" + canary,
	"postgres://u:" + canary + "@h",
	"postgres://u:" + canary + "@127.0.0.1:1/d?connect_timeout=1",
	"postgres:u:" + canary + "@h/d",
	"postgre://u:" + canary + "@h/d",
	"mysql://u:" + canary + "@h/d",
	"postgresql+driver://u:" + canary + "@h/d",
	"jdbc:postgresql://h/d?user=u&password=" + canary,
	`"postgres://u:` + canary + `@h/d"`,
	" postgres://u:" + canary + "@h/d",
	"postgres://u:a\n" + canary + "@h/d",
	"u:" + canary + "@h/d",
	canary + "@h/d",
	canary,
	"host=h user=u dbname=d password=" + canary,
}

// TestDatabaseURL_isNotPrinted checks that no command prints a database URL that it cannot use.
func TestDatabaseURL_isNotPrinted(t *testing.T) {
	t.Parallel()
	dir := dataDirWithFiles(t)
	archive := filepath.Join(t.TempDir(), "backup.tar")
	if code, _, stderr := command(t, "backup", archive, "--data-dir="+dir, "--skip-missing"); code != 0 {
		t.Fatal(stderr)
	}
	for name, args := range map[string]func(t *testing.T, url string) []string{
		"migrate": func(_ *testing.T, url string) []string { return []string{"db", "migrate", "--database-url=" + url} },
		"status":  func(_ *testing.T, url string) []string { return []string{"db", "status", "--database-url", url} },
		"check":   func(_ *testing.T, url string) []string { return []string{"db", "check", "--database-url=" + url} },
		"vacuum":  func(_ *testing.T, url string) []string { return []string{"db", "vacuum", "--database-url=" + url} },
		"copy from": func(t *testing.T, url string) []string {
			return []string{"db", "copy", "--from=" + url, "--to=sqlite://" + t.TempDir() + "/new.db"}
		},
		"copy to": func(_ *testing.T, url string) []string {
			return []string{"db", "copy", "--from=sqlite://" + dir + "/agentarea.db", "--to=" + url}
		},
		"copy to itself": func(_ *testing.T, url string) []string { return []string{"db", "copy", "--from=" + url, "--to=" + url} },
		"secrets status": func(_ *testing.T, url string) []string {
			return []string{"secrets", "status", "--data-dir=" + dir, "--database-url=" + url}
		},
		"secrets rotate": func(_ *testing.T, url string) []string {
			return []string{"secrets", "rotate", "--data-dir=" + dir, "--database-url=" + url}
		},
		"reset-password": func(_ *testing.T, url string) []string {
			return []string{"users", "reset-password", "ada", "--database-url=" + url}
		},
		"backup": func(t *testing.T, url string) []string {
			return []string{"backup", filepath.Join(t.TempDir(), "b.tar"), "--data-dir=" + dir, "--database-url=" + url}
		},
		"restore": func(t *testing.T, url string) []string {
			return []string{"restore", archive, "--without-key", "--data-dir=" + filepath.Join(t.TempDir(), "d"), "--database-url=" + url}
		},
		"restore --dry-run": func(t *testing.T, url string) []string {
			return []string{"restore", archive, "--dry-run", "--without-key", "--data-dir=" + t.TempDir(), "--database-url=" + url}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, url := range malformedURLs {
				args := args(t, url)
				code, stdout, stderr := command(t, args...)
				if code != 1 || stderr == "" || strings.Contains(stdout+stderr, canary) {
					t.Errorf("%q: exit code %d, stdout %q, stderr %q; want 1, a message, and no password", args, code, stdout, stderr)
				}
			}
		})
	}
}

// TestDatabaseURL_misplaced checks that the messages about a wrong command line do not contain a database URL. It is not
// parallel, because serve sets global variables.
func TestDatabaseURL_misplaced(t *testing.T) {
	for _, url := range []string{"postgres://u:" + canary + "@h/d", "postgres://u:" + canary + "@h:port/d?x", `postgres://u:"` + canary + `@h/d`} {
		for _, args := range [][]string{
			{url},
			{"serve", url},
			{"db", url},
			{"db", "status", url},
			{"db", "status", "--url=" + url},
			{"db", "status", "--url", url},
			{"db", "copy", url, url},
			{"db", "copy", "--from=" + url},
			{"--database-url=" + url, "db", "status"},
			{"serve", "--listen=" + url},
			{"serve", "--listen=" + url, "--log-format=json"},
			{"serve", "--log-level=" + url},
			{"serve", "--public-url=" + url},
			{"serve", "--max-agents=" + url},
			{"serve", "--config=" + url, "--data-dir=" + t.TempDir()},
			{"db", "status", "--data-dir=" + url},
			{"plugins", "check", "--config=" + url},
			{"backup", url, "--data-dir=/none"},
			{"restore", url},
			{"users", "reset-password", url, "--data-dir=/none"},
			{"health", "--url=" + url},
		} {
			code, stdout, stderr := command(t, args...)
			if code == 0 || strings.Contains(stdout+stderr, canary) {
				t.Errorf("%q: exit code %d, stdout %q, stderr %q; want an error without the password", args, code, stdout, stderr)
			}
		}
	}
}

// TestDatabaseURL_anotherVariable checks that the messages about a variable do not contain a database URL. It is not
// parallel, because it sets variables.
func TestDatabaseURL_anotherVariable(t *testing.T) {
	for _, name := range []string{"AGENTAREA_PUBLIC_URL", "AGENTAREA_LOG_LEVEL", "AGENTAREA_MAX_AGENTS"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, "postgres://u:"+canary+"@h/d")
			code, stdout, stderr := command(t, "serve", "--listen=127.0.0.1:0", "--data-dir="+t.TempDir())
			if code == 0 || strings.Contains(stdout+stderr, canary) {
				t.Errorf("exit code %d, stdout %q, stderr %q; want an error without the password", code, stdout, stderr)
			}
		})
	}
}

// serve prints no database URL, and no command prints that of the environment. The test is not parallel, because it sets
// variables.
func TestDatabaseURL_environment(t *testing.T) {
	serve := []string{"serve", "--listen=127.0.0.1:0", "--data-dir=" + t.TempDir(), "--database-wait=0"}
	for _, url := range malformedURLs {
		t.Setenv("AGENTAREA_DATABASE_URL", url)
		for _, args := range [][]string{{"db", "status"}, {"db", "migrate"}, {"db", "status", "--help"}, serve} {
			if _, stdout, stderr := command(t, args...); strings.Contains(stdout+stderr, canary) {
				t.Errorf("%q with %q: stdout %q, stderr %q, want no password", args, url, stdout, stderr)
			}
		}
		t.Setenv("AGENTAREA_DATABASE_URL", "")
		args := append(serve, "--database-url="+url)
		if code, stdout, stderr := command(t, args...); code != 1 || strings.Contains(stdout+stderr, canary) {
			t.Errorf("%q: exit code %d, stdout %q, stderr %q; want 1 and no password", args, code, stdout, stderr)
		}
	}
}
