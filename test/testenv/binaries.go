package testenv

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

var binaries = sync.OnceValues(func() (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	touchSources(root)
	if dir := os.Getenv(BinariesVariable); dir != "" && !RaceBinaries() {
		return dir, nil
	}
	// The same flags as make build, so that both share their results.
	dir, args, cgo := filepath.Join(root, "bin"), []string{"build", "-trimpath"}, "CGO_ENABLED=0"
	if RaceBinaries() {
		// The Makefile has the reason why SQLite is built without.
		args = []string{
			"build", "-race", "-gcflags=modernc.org/sqlite/lib=-race=false", "-gcflags=modernc.org/libc=-race=false",
		}
		dir, cgo = filepath.Join(root, "bin", "race"), "CGO_ENABLED=1"
	}
	build := exec.CommandContext(context.Background(),
		"go", append(args, "-o", dir+string(filepath.Separator), "./core/...", "./plugins/...")...)
	build.Dir, build.Env = root, append(os.Environ(), cgo, "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%v: %w\n%s", build.Args, err, out)
	}
	return dir, nil
})

// RaceBinaries reports whether Binaries returns programs with the race detector.
func RaceBinaries() bool { return os.Getenv(RaceVariable) == "1" }

// Binaries returns the folder of the server's and the plugins' programs. It builds them at
// the first call of a process, unless make test has done that already. Do not write into it.
func Binaries(tb testing.TB) string {
	tb.Helper()
	dir, err := binaries()
	if err != nil {
		tb.Fatal(err)
	}
	return dir
}

// Binary returns the path of one program of those that Binaries returns, such as "llm-echo".
// It builds only that one.
func Binary(tb testing.TB, name string) string {
	tb.Helper()
	if os.Getenv(BinariesVariable) != "" || RaceBinaries() {
		return filepath.Join(Binaries(tb), name)
	}
	root, err := Root()
	if err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(root, "bin", name)
	buildProgram(tb, root, path, "./plugins/"+name)
	return path
}

// Build builds a program that is only for tests, such as "test/e2e/testdata/mcp-open", in a temporary folder, and
// returns the folder.
func Build(tb testing.TB, folder string) string {
	tb.Helper()
	root, err := Root()
	if err != nil {
		tb.Fatal(err)
	}
	dir := tb.TempDir()
	buildProgram(tb, root, filepath.Join(dir, filepath.Base(folder)), "./"+folder)
	return dir
}

func buildProgram(tb testing.TB, root, path, pkg string) {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), "go", "build", "-trimpath", "-o", path, pkg)
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
}

// touchSources makes go test's cache depend on the sources of the programs, which a test that
// runs them does not import. The cache remembers each file that a test looks at.
func touchSources(root string) {
	for _, folder := range []string{"core", "plugins", "sdk", "storage"} {
		_ = filepath.WalkDir(filepath.Join(root, folder), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && !strings.HasSuffix(path, "_test.go") {
				_, _ = os.Stat(path)
			}
			return nil
		})
	}
	_, _ = os.Stat(filepath.Join(root, "go.mod"))
}
