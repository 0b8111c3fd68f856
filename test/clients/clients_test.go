package clients_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/agentarea/agentarea/test/mcptest"
)

const (
	python     = "../../examples/clients/python"
	javascript = "../../examples/clients/javascript"
	// interpreter is Debian's, whose packages make test installs.
	interpreter = "/usr/bin/python3"
	// limit bounds a suite.
	limit = 8 * time.Minute
)

func built(t *testing.T) string {
	t.Helper()
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// run runs a suite in its folder, and ends all that it has started.
func run(t *testing.T, dir string, env []string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), append(env, "TMPDIR="+t.TempDir())...)
	// Its servers are in its group, and end with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %v\n%s", args, err, out)
	}
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // as a rule there is nobody left
	}
}

func TestPython(t *testing.T) {
	t.Parallel()
	if out, err := exec.CommandContext(t.Context(), interpreter, "-c", "import requests, websocket").CombinedOutput(); err != nil {
		t.Fatalf("the client in Python needs requests and websocket-client (Debian: apt-get install python3-requests python3-websocket): %v\n%s", err, out)
	}
	env := []string{"PYTHONDONTWRITEBYTECODE=1", "AGENTAREA_BIN=" + built(t)}
	run(t, python, env, interpreter, "-W", "ignore::ResourceWarning", "-m", "unittest")
}

// The whole suite runs on the machine's Node, and what differs on that of the tests
// of MCP, which has a WebSocket of its own.
func TestJavaScript(t *testing.T) {
	t.Parallel()
	env := []string{"AGENTAREA_NODE_MODULES=" + modules(t), "AGENTAREA_BIN=" + built(t)}
	pinned := mcptest.Node(t)
	node, err := exec.LookPath("node")
	if err != nil {
		node = pinned
	}
	run(t, javascript, env, node, "--test")
	if node != pinned {
		run(t, javascript, env, pinned, "--test", "tests/files.test.js", "tests/websocket.test.js")
	}
}

// Whatever an editor tells of the client's types is right.
func TestJavaScriptTypes(t *testing.T) {
	t.Parallel()
	packages := filepath.Dir(modules(t))
	source, err := filepath.Abs(filepath.Join(javascript, "src"))
	if err != nil {
		t.Fatal(err)
	}
	// The packages' folder is where the types of Node.js are looked for.
	config := `{"extends":"` + filepath.Join(packages, "tsconfig.json") + `","include":["` + source + `"],` +
		`"compilerOptions":{"typeRoots":["` + filepath.Join(packages, "node_modules", "@types") + `"]}}`
	project := filepath.Join(t.TempDir(), "tsconfig.json")
	if err := os.WriteFile(project, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, ".", nil, mcptest.Node(t), filepath.Join(packages, "node_modules", "typescript", "bin", "tsc"), "--project", project)
}

// modules is the folder of the npm packages of npm/, which make test installs.
func modules(t *testing.T) string {
	t.Helper()
	lock, err := os.ReadFile("npm/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			t.Fatal(err)
		}
		cache = filepath.Join(home, ".cache")
	}
	sum := sha256.Sum256(lock)
	dir := filepath.Join(cache, "agentarea", "clients-"+hex.EncodeToString(sum[:])[:12], "node_modules")
	if _, err := os.Stat(dir); err != nil {
		t.Fatalf("%s is not there; make test installs it (in a minute, once)", dir)
	}
	return dir
}
