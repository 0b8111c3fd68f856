package clients_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/agentarea/agentarea/test/mcptest"
	"github.com/agentarea/agentarea/test/testenv"
)

const (
	python     = "../../examples/clients/python"
	javascript = "../../examples/clients/javascript"
	// interpreter is Debian's Python, for which make test-setup installs packages.
	interpreter = "/usr/bin/python3"
	// suiteTimeout bounds the run of one suite.
	suiteTimeout = 15 * time.Minute
)

// run runs a suite in its folder, and then ends every process that it has started.
func run(t *testing.T, dir string, env []string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), suiteTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), append(env, "TMPDIR="+t.TempDir())...)
	// The servers that the suite starts are in its process group.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %v\n%s", args, err, out)
	}
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // fails if no process is left
	}
}

func TestPython(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	if err := exec.CommandContext(t.Context(), interpreter, "-c", "import requests, websocket").Run(); err != nil {
		testenv.Missing(t, "Python with requests and websocket-client", err)
	}
	env := []string{"PYTHONDONTWRITEBYTECODE=1", "AGENTAREA_BIN=" + testenv.Binaries(t)}
	run(t, python, env, interpreter, "-W", "ignore::ResourceWarning", "-m", "unittest")
}

// The whole suite runs on the system's Node.js. The tests of files and WebSockets also run on the
// pinned Node.js, which has a WebSocket class of its own.
func TestJavaScript(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	env := []string{"AGENTAREA_NODE_MODULES=" + modules(t), "AGENTAREA_BIN=" + testenv.Binaries(t)}
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

// TestJavaScriptTypes runs the type checker, so that the types that an editor shows are right.
func TestJavaScriptTypes(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	packages := filepath.Dir(modules(t))
	source, err := filepath.Abs(filepath.Join(javascript, "src"))
	if err != nil {
		t.Fatal(err)
	}
	// typeRoots makes the checker find the types of Node.js.
	config := `{"extends":"` + filepath.Join(packages, "tsconfig.json") + `","include":["` + source + `"],` +
		`"compilerOptions":{"typeRoots":["` + filepath.Join(packages, "node_modules", "@types") + `"]}}`
	project := filepath.Join(t.TempDir(), "tsconfig.json")
	if err := os.WriteFile(project, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, ".", nil, mcptest.Node(t), filepath.Join(packages, "node_modules", "typescript", "bin", "tsc"), "--project",
		project)
}

// modules returns the folder of the npm packages.
func modules(t *testing.T) string {
	t.Helper()
	return mcptest.Packages(t, "npm packages for the JavaScript client", "clients")
}
