package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Server is a PostgreSQL server that this process has started.
type Server struct {
	// URL is the URL of the database "postgres".
	URL string

	dir  string
	port int
	// durable makes the server sync each commit to the disk, as in production.
	durable bool
	account *syscall.Credential
	process *exec.Cmd
	// ended is closed when the process has ended.
	ended  chan struct{}
	output *bytes.Buffer
}

// startTimeout is long enough for a busy machine.
const startTimeout = 2 * time.Minute

// Launch starts a server for a benchmark, with its data in a folder under base. It syncs each commit.
func Launch(base string) (*Server, error) { return launch(base, &Server{durable: true}) }

// launch creates a database cluster in a new folder under base, and starts it.
func launch(base string, s *Server) (*Server, error) {
	sweep(base)
	dir, err := os.MkdirTemp(base, fmt.Sprintf("%s%d-", folder, os.Getpid()))
	if err != nil {
		return nil, err
	}
	s.dir = dir
	if s.port, err = freePort(); err != nil {
		return nil, err
	}
	s.URL = fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres", s.port)
	if err := s.dropRoot(); err != nil {
		return nil, err
	}
	initdb, err := s.command("initdb", "-D", s.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C",
		"--no-sync")
	if err != nil {
		return nil, err
	}
	if output, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, output)
	}
	return s, s.Up()
}

// folder is the prefix of the folders' names. The id of the process follows.
const folder = "agentarea-pg-"

// sweep removes the folders of processes that have ended, because they cannot do it themselves.
func sweep(base string) {
	left, _ := filepath.Glob(filepath.Join(base, folder+"*"))
	for _, dir := range left {
		id, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), folder), "-")
		pid, err := strconv.Atoi(id)
		if err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			_ = os.RemoveAll(dir)
		}
	}
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(port)
}

// dropRoot makes the programs run as the user postgres if this process is root, because they refuse root.
func (s *Server) dropRoot() error {
	if os.Getuid() != 0 {
		return nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		return fmt.Errorf("PostgreSQL refuses root, and there is no user postgres: %w", err)
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return err
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return err
	}
	s.account = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	for dir := filepath.Dir(s.dir); dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o711); err != nil {
			return err
		}
	}
	return os.Chown(s.dir, int(uid), int(gid))
}

func (s *Server) command(name string, args ...string) (*exec.Cmd, error) {
	path, err := find(name)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(context.Background(), path, args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = attributes(s.account)
	return cmd, nil
}

// find returns the path of a program of PostgreSQL. It looks in Debian's folder first, because
// wrappers in PATH may change the user.
func find(name string) (string, error) {
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name); len(found) > 0 {
		return found[len(found)-1], nil
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("the program %s is not installed", name)
	}
	return path, nil
}

// Up starts the server at the address that it had before, and waits until it answers.
func (s *Server) Up() error {
	sync := "off"
	if s.durable {
		sync = "on"
	}
	cmd, err := s.command("postgres", "-D", s.data(), "-p", strconv.Itoa(s.port), "-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories=", "-c", "max_connections=400", "-c", "shared_buffers=32MB", "-c", "fsync="+sync,
		"-c", "full_page_writes="+sync, "-c", "log_min_messages=fatal",
		// A server that is killed leaves its shared memory, so it is kept in the data folder.
		"-c", "dynamic_shared_memory_type=mmap")
	if err != nil {
		return err
	}
	s.output, s.ended = &bytes.Buffer{}, make(chan struct{})
	cmd.Stdout, cmd.Stderr = s.output, s.output
	if err := start(cmd); err != nil {
		return err
	}
	s.process = cmd
	ended := s.ended
	go func() {
		_ = cmd.Wait() // the output has the reason
		close(ended)
	}()
	deadline := time.Now().Add(startTimeout)
	for !s.answers() {
		select {
		case <-s.ended:
			return fmt.Errorf("postgres exited: %s", s.output)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			s.Kill()
			return fmt.Errorf("postgres does not answer within %s", startTimeout)
		}
	}
	return nil
}

// Kill ends all of the server's processes without a shutdown, as a power cut does.
func (s *Server) Kill() {
	_ = syscall.Kill(-s.process.Process.Pid, syscall.SIGKILL)
	<-s.ended
}

// Freeze stops the server's main process, so that it answers nothing until Thaw.
func (s *Server) Freeze() { _ = syscall.Kill(-s.process.Process.Pid, syscall.SIGSTOP) }

// Thaw continues a frozen server.
func (s *Server) Thaw() { _ = syscall.Kill(-s.process.Process.Pid, syscall.SIGCONT) }

// Close ends the server and removes its data.
func (s *Server) Close() {
	s.Kill()
	_ = os.RemoveAll(s.dir)
}

// answers reports whether the server accepts a connection and answers a start-up message.
func (s *Server) answers() bool {
	conn, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)), time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
	// A server that is ready answers the start-up message with an R.
	const parameters = "user\x00postgres\x00database\x00postgres\x00\x00"
	message := append([]byte{0, 0, 0, byte(8 + len(parameters)), 0, 3, 0, 0}, parameters...)
	if _, err := conn.Write(message); err != nil {
		return false
	}
	answer := make([]byte, 1)
	_, err = conn.Read(answer)
	return err == nil && answer[0] == 'R'
}
