package cli

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core/internal/app"
)

var update = flag.Bool("update", false, "update the golden files")

// command runs a command line.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Main(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestHelp(t *testing.T) {
	t.Parallel()
	code, got, _ := command(t, "serve", "--help")
	if code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	const golden = "testdata/help.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the help has changed; if that is intended, run make generate-docs\n%s", got)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	if code, out, _ := command(t, "version"); code != 0 || out != app.Version+"\n" {
		t.Errorf("exit code %d, output %q, want 0 and the version", code, out)
	}
}

func TestMain_invalidCommandLines(t *testing.T) {
	t.Parallel()
	existing := t.TempDir()
	if code, _, stderr := command(t, "db", "migrate", "--data-dir="+existing); code != 0 {
		t.Fatal(stderr)
	}
	for want, args := range map[string][]string{
		`unknown flag --port`:                                             {"serve", "--port=80"},
		`--listen "8000": address 8000: missing port`:                     {"serve", "--listen=8000"},
		`--log-level must be one of "debug","info","warn","error"`:        {"serve", "--log-level=loud"},
		`expected one of "serve", "files", "plugins", "db", "users", ...`: {},
		`missing flags: --from=URL, --to=URL`:                             {"db", "copy"},
		`are the same database`:                                           {"db", "copy", "--from=sqlite:///a", "--to=sqlite:///a"},
		`user "nobody" does not exist`:                                    {"users", "reset-password", "nobody", "--data-dir=" + existing},
		`no such file`:                                                    {"db", "status", "--data-dir=/none"},
		`missing flags: --from=LABEL, --to=LABEL`:                         {"files", "move"},
		`--keep-runs: "30" is not a valid duration (write a number with a unit, such as 90s, 30m, 12h or 30d)`: {
			"serve", "--keep-runs=30",
		},
		`--keep-audit -24h0m0s: must not be negative (write 30d, or 0 to keep everything)`: {"serve", "--keep-audit=-1d"},
		`--max-file-size: "much" is not a valid size`:                                      {"serve", "--max-file-size=much"},
		`--rate-limit-roles: "root=1/1" is not a valid role limit (write ROLE=`:            {"serve", "--rate-limit-roles=admin=600/60,root=1/1"},
		`--trusted-proxies: "lan" is not a valid IP address or network (write `:            {"serve", "--trusted-proxies=10.0.0.0/8,lan"},
	} {
		if code, _, stderr := command(t, args...); code != 1 || !strings.Contains(stderr, want) {
			t.Errorf("%q: exit code %d, stderr %q, want 1 and %q", args, code, stderr, want)
		}
	}
}

func TestDB_migrateStatusCopy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"db", "migrate", "--data-dir=" + dir}, "schema 0 to "},
		{[]string{"db", "migrate", "--data-dir=" + dir}, "nothing to do"},
		{[]string{"db", "status", "--data-dir=" + dir}, "(up to date)"},
		{[]string{"db", "status", "--database-url=sqlite://" + dir + "/agentarea.db"}, "servers   0"},
		{[]string{"db", "copy", "--from=sqlite://" + dir + "/agentarea.db", "--to=sqlite://" + dir + "/copy.db"}, "verified  "},
	} {
		if code, out, stderr := command(t, c.args...); code != 0 || !strings.Contains(out, c.want) {
			t.Errorf("%q: exit code %d, output %q %q, want 0 and %q", c.args, code, out, stderr, c.want)
		}
	}
}
