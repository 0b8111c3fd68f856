package pgtest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/agentarea/agentarea/test/testenv"
)

// Bouncer starts PgBouncer in front of a server of this process, and returns the URL of its database "postgres". mode
// is session, transaction or statement. It ends when the test ends. Without PgBouncer the test is skipped.
func Bouncer(tb testing.TB, s *Server, mode string) string {
	tb.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer" // Debian's, which is not in every PATH
		if _, err := os.Stat(program); err != nil {
			testenv.Missing(tb, "PgBouncer", err)
		}
	}
	port, err := freePort()
	if err != nil {
		tb.Fatal(err)
	}
	config := filepath.Join(s.dir, "pgbouncer-"+mode+".ini")
	text := fmt.Sprintf("[databases]\n* = host=127.0.0.1 port=%d user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"+
		"listen_port = %d\nunix_socket_dir =\nauth_type = any\npool_mode = %s\ndefault_pool_size = 50\n", s.port, port, mode)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil { // another account reads it
		tb.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), program, config)
	cmd.Dir, cmd.SysProcAttr = s.dir, attributes(s.account)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := start(cmd); err != nil {
		tb.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // the output has the reason
		close(ended)
	}()
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	for deadline := time.Now().Add(startTimeout); ; {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			_ = conn.Close()
			break
		}
		select {
		case <-ended:
			tb.Fatalf("PgBouncer exited: %s", &output)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			tb.Fatalf("PgBouncer does not answer within %s", startTimeout)
		}
	}
	u := url.URL{Scheme: "postgres", User: url.User("postgres"), Host: address, Path: "/postgres"}
	return u.String()
}
