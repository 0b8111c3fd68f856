package cli

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agentarea/agentarea/test/testenv"
)

// maxPluginModules bounds the modules that `go list -m all` shows in a new project. Most of them are
// optional requirements of gRPC, which neither the build nor the tests of a plugin download.
const maxPluginModules = 60

// root is the checkout.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// newPlugin writes a project with `plugins new` and returns its folder.
func newPlugin(t *testing.T, kind string, args ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "project")
	var out bytes.Buffer
	if code := Main(t.Context(), append([]string{"plugins", "new", kind, "mine", "--dir", dir}, args...),
		&out, &out); code != 0 {
		t.Fatalf("plugins new %s: exit code %d: %s", kind, code, &out)
	}
	return dir
}

// inProject runs a program in a project's folder, as on a machine without a go.work, and returns its output.
func inProject(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-trimpath") // trimpath lets the projects share the build cache
	text, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, text)
	}
	return string(text)
}

func TestPluginsNew_projectBuildsAndPassesItsTest(t *testing.T) {
	t.Parallel()
	// The projects differ in a few files, so one kind is enough for the short form.
	for _, kind := range []string{"llm", "agent", "files", "mcp"}[:testenv.Rounds(1, 4)] {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			dir := newPlugin(t, kind)
			if unformatted := inProject(t, dir, "gofmt", "-l", "."); unformatted != "" {
				t.Errorf("gofmt -l = %s, want no file", unformatted)
			}
			inProject(t, dir, "go", "vet", "./...")
			inProject(t, dir, "go", "test", "./...")
			var out bytes.Buffer
			if code := Main(t.Context(), []string{"plugins", "new", kind, "mine", "--dir", dir}, &out, &out); code == 0 {
				t.Errorf("plugins new into a folder that is not empty: exit code 0, want 1")
			}
		})
	}
}

// TestPluginsNew_projectIsTidy checks that `go mod tidy` does not change go.mod and go.sum of a new project. With
// -update the test stores them in the templates.
func TestPluginsNew_projectIsTidy(t *testing.T) {
	if !*update {
		testenv.Slow(t)
	}
	if *update {
		dir := newPlugin(t, "llm", "--module", "[[.Module]]")
		mod := strings.ReplaceAll(read(t, filepath.Join(dir, "go.mod")), "[[.Module]]", "example.com/module")
		write(t, filepath.Join(dir, "go.mod"), mod)
		inProject(t, dir, "go", "mod", "tidy")
		mod = strings.Replace(read(t, filepath.Join(dir, "go.mod")), "example.com/module", "[[.Module]]", 1)
		write(t, "templates/common/go.mod.tmpl", strings.Replace(mod, "./"+bundledSDK, "[[.SDK]]", 1))
		write(t, "templates/common/go.sum.tmpl", read(t, filepath.Join(dir, "go.sum")))
		return
	}
	t.Parallel()
	for _, kind := range []string{"agent", "llm", "files", "mcp"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			dir := newPlugin(t, kind)
			before := read(t, filepath.Join(dir, "go.mod")) + read(t, filepath.Join(dir, "go.sum"))
			inProject(t, dir, "go", "mod", "tidy")
			if read(t, filepath.Join(dir, "go.mod"))+read(t, filepath.Join(dir, "go.sum")) != before {
				t.Error(
					"go mod tidy changes the project; update the templates: go test ./core/internal/cli -run PluginsNew -update",
				)
			}
			modules := strings.Fields(inProject(t, dir, "go", "list", "-m", "-f", "{{.Path}}", "all"))
			if len(modules) > maxPluginModules {
				t.Errorf("go list -m all shows %d modules, want at most %d: %q", len(modules), maxPluginModules, modules)
			}
		})
	}
}

func TestPluginsNew_sdkOfACheckout(t *testing.T) {
	t.Parallel()
	dir := newPlugin(t, "llm", "--sdk", root(t))
	inProject(t, dir, "go", "build", "./...")
	if _, err := os.Stat(filepath.Join(dir, "third_party")); err == nil {
		t.Error("the project has a copy of the SDK, want only the reference to the checkout")
	}
	var out bytes.Buffer
	if code := Main(t.Context(),
		[]string{"plugins", "new", "llm", "mine", "--dir", filepath.Join(t.TempDir(), "p"), "--sdk", t.TempDir()},
		&out, &out); code != 1 {
		t.Errorf("--sdk with a folder that is not a checkout: exit code %d, want 1: %s", code, &out)
	}
}

func TestPluginsNew_invalidNameOrKind(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"llm", "Mine!"}, {"model", "mine"}} {
		var out bytes.Buffer
		if code := Main(t.Context(), append([]string{"plugins", "new", "--dir", t.TempDir()}, args...),
			&out, &out); code != 1 {
			t.Errorf("plugins new %q: exit code %d, want 1: %s", args, code, &out)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
