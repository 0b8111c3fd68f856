package pluginhost

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/agentarea/agentarea/core/internal/config"
)

// helper runs a host in a process that the test kills. It prints the process IDs of the
// plugins and waits.
func helper() {
	cfg, err := config.Parse([]byte(os.Getenv("PLUGINHOST_TEST_HELPER")), "plugins.hcl")
	if err != nil {
		panic(err)
	}
	h := New(Options{Dirs: []string{os.Getenv("PLUGINHOST_TEST_BIN")}, DataDir: os.Getenv("PLUGINHOST_TEST_DATA")})
	if err := h.Start(context.Background(), cfg); err != nil {
		panic(err)
	}
	pids := []string{h.sockets.dir}
	for _, p := range h.Plugins() {
		pids = append(pids, strconv.Itoa(p.PID))
	}
	fmt.Println(strings.Join(pids, " "))
	select {}
}

func TestKilledHostLeavesNoProcesses(t *testing.T) {
	t.Parallel()
	// A short path, so that the sockets are under the data directory.
	data, err := os.MkdirTemp("/tmp", "aa-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(data) })
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "PLUGINHOST_TEST_BIN="+binDir, "PLUGINHOST_TEST_DATA="+data,
		"PLUGINHOST_TEST_HELPER="+block("a", "")+"\n"+block("b", "deaf"))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(line)
	sockets, pids := fields[0], fields[1:]
	if filepath.Dir(sockets) != filepath.Join(data, "run") {
		t.Errorf("sockets are in %s, want them under the data directory", sockets)
	}
	frozen, err := strconv.Atoi(pids[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(frozen, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for _, text := range pids {
		pid, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		await(t, "plugin "+text+" is dead", func() bool { return hasExited(pid) })
	}
	if _, err := os.Stat(sockets); err != nil {
		t.Fatalf("sockets of the killed host: %v", err)
	}
	// The next server removes them, but not those of a running server.
	first, err := openSockets(data)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(sockets); err == nil {
		t.Error("the sockets of the killed host still exist")
	}
	second, err := openSockets(data)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(first.dir); err != nil {
		t.Errorf("the sockets of a running host were removed: %v", err)
	}
	for _, s := range []interface{ remove() error }{first, second} {
		if err := s.remove(); err != nil {
			t.Error(err)
		}
	}
}
