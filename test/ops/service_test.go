package ops_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/agentarea/agentarea/test/testenv"
)

// TestService checks that systemd accepts the unit.
func TestService(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		testenv.Missing(t, "systemd-analyze", err)
	}
	// systemd-analyze checks that the program exists.
	unit := string(read(t, "deploy/agentarea.service"))
	installed := "/opt/agentarea/bin/agentarea"
	if !strings.Contains(unit, "ExecStart="+installed+" serve\n") {
		t.Fatalf("the unit does not start %s, the path in the docs", installed)
	}
	program, err := filepath.Abs(filepath.Join(bin(t), "agentarea"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "agentarea.service")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(unit, installed, program)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", "--man=no", path).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	for _, line := range []string{
		"Restart=on-failure", "StartLimitIntervalSec=0", // no number of failed starts ends the service
		"KillMode=mixed", "Type=notify", "NotifyAccess=main", "StateDirectory=agentarea",
	} {
		if !strings.Contains(unit, "\n"+line+"\n") {
			t.Errorf("the unit does not contain %s", line)
		}
	}
}

// The server notifies systemd when it is ready and when it stops.
func TestServiceNotifications(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "n") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = socket.Close() }()
	notification := func() string {
		t.Helper()
		buffer := make([]byte, 256)
		_ = socket.SetReadDeadline(time.Now().Add(waitTimeout))
		n, err := socket.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		return string(buffer[:n])
	}
	s := start(t, nil, "NOTIFY_SOCKET="+filepath.Join(dir, "s"))
	if got := notification(); got != "READY=1" {
		t.Errorf("got notification %q at the start", got)
	}
	s.health(t)
	s.stop(t, func() {
		if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	})
	if got := notification(); got != "STOPPING=1" {
		t.Errorf("got notification %q at the stop", got)
	}
}
