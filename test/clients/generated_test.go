package clients_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"net/http"
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
	adminName     = "admin"
	adminPassword = "correct-horse-battery-staple"
	startTimeout  = time.Minute
)

// startServer starts a server with the default plugins, which runs until the test ends. It returns the URL.
func startServer(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(testenv.Binaries(t), "agentarea"), "serve", "--listen", address)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "AGENTAREA_ADMIN_PASSWORD="+adminPassword, "AGENTAREA_ADMIN_USERNAME="+adminName,
		"AGENTAREA_RATE_LIMIT_PER_MINUTE=0", "AGENTAREA_RATE_LIMIT_BURST=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait() // it was killed
	})
	url := "http://" + address
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(50 * time.Millisecond) {
		status, _ := get(t, url+"/health/ready")
		if status == http.StatusOK {
			return url
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server is not ready after %s: got status %d", startTimeout, status)
		}
	}
}

// get returns the status and the body of a page, or status 0 if the server does not answer.
func get(t *testing.T, url string) (status int, body []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil
	}
	defer r.Body.Close()
	if body, err = io.ReadAll(r.Body); err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, body
}

// generatorDir returns a folder with a copy of another folder and with the OpenAPI document of the server.
func generatorDir(t *testing.T, source, url string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(source)); err != nil {
		t.Fatal(err)
	}
	status, document := get(t, url+"/openapi.json")
	if status != http.StatusOK {
		t.Fatalf("got status %d for the OpenAPI document", status)
	}
	if err := os.WriteFile(filepath.Join(dir, "openapi.json"), document, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// command runs a command in a folder, and fails the test with its output if it fails.
func command(t *testing.T, dir string, env []string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), suiteTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

// The document has no error by the recommended rules of the linter.
func TestRedocly(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	document, err := filepath.Abs("../../core/internal/app/testdata/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"REDOCLY_TELEMETRY=off", "REDOCLY_SUPPRESS_UPDATE_NOTICE=true"}
	t.Log(command(t, t.TempDir(), env, mcptest.Node(t), filepath.Join(modules(t), "@redocly", "cli", "bin", "cli.js"),
		"lint", "--extends", "recommended", document))
}

// A client with the types that openapi-typescript generates compiles, and works with a server.
func TestGeneratedTypeScript(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	node, packages := mcptest.Node(t), modules(t)
	url := startServer(t)
	dir := generatorDir(t, filepath.Join("testdata", "generated", "typescript"), url)
	if err := os.Symlink(packages, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{"type":"module"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	command(t, dir, nil, node, filepath.Join(packages, "openapi-typescript", "bin", "cli.js"), "openapi.json", "-o",
		"schema.d.ts")
	command(t, dir, nil, node, filepath.Join(packages, "typescript", "bin", "tsc"), "--project", ".")
	command(t, dir, nil, node, "client.js", url, adminName, adminPassword)
}

// Clients that oapi-codegen and ogen generate compile, and work with a server.
func TestGeneratedGo(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	bin := generators(t)
	url := startServer(t)
	dir := generatorDir(t, filepath.Join("testdata", "generated", "go"), url)
	env := []string{"GOWORK=off", "GOFLAGS=-mod=readonly"}
	if err := os.MkdirAll(filepath.Join(dir, "oapi", "client"), 0o700); err != nil {
		t.Fatal(err)
	}
	command(t, dir, env, filepath.Join(bin, "oapi-codegen"), "-config", "oapi/config.yaml", "openapi.json")
	command(t, dir, env, filepath.Join(bin, "ogen"), "--target", "ogen/client", "--package", "client", "--clean",
		"openapi.json")
	if *update {
		command(t, dir, []string{"GOWORK=off"}, "go", "mod", "tidy")
		for _, name := range []string{"go.mod", "go.sum"} {
			data, err := os.ReadFile(filepath.Join(dir, name))
			if err == nil {
				err = os.WriteFile(filepath.Join("testdata", "generated", "go", name), data, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, name := range []string{"oapi", "ogen"} {
		program := filepath.Join(dir, name+".bin")
		command(t, dir, env, "go", "build", "-buildvcs=false", "-o", program, "./"+name)
		command(t, dir, nil, program, url, adminName, adminPassword)
	}
}

// generators returns the folder of the programs that generate Go code. Its name has the checksum of go.sum.
func generators(t *testing.T) string {
	t.Helper()
	sums, err := os.ReadFile(filepath.Join("testdata", "generated", "go", "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	cache, err := testenv.Cache()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(sums)
	dir := filepath.Join(cache, "generators-"+hex.EncodeToString(sum[:])[:12])
	if _, err := os.Stat(filepath.Join(dir, ".installed")); err != nil {
		testenv.Missing(t, "generators of Go clients", err)
	}
	return dir
}
