// Package clients_test runs the clients of examples/clients on the built server:
// each has a suite of its own, in its own language.
package clients_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

var update = flag.Bool("update", false, "write types.js anew")

// folder is where binaries puts the server and its plugins.
var folder string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "agentarea-clients-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	folder = dir
	return m.Run()
}

// binaries builds the server and its plugins, once, and gives their folder.
var binaries = sync.OnceValues(func() (string, error) {
	build := exec.Command("go", "build", "-o", folder+string(filepath.Separator), "./core/...", "./plugins/...")
	build.Dir = filepath.Join("..", "..")
	out, err := build.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%v: %w\n%s", build.Args, err, out)
	}
	return folder, nil
})
