package ops_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/agentarea/agentarea/test/mcptest"
	"github.com/agentarea/agentarea/test/testenv"
)

// needs skips a test unless all programs are installed and the process is root.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		_, err := exec.LookPath(p)
		if err == nil && os.Geteuid() != 0 {
			err = errors.New("only root can create PID namespaces")
		}
		if err != nil {
			testenv.Missing(t, p, err)
		}
	}
}

// call sends a request to the API, which must be answered with a status 2xx.
func (s *server) call(t *testing.T, method, path, token string, body, reply any) {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.url()+path, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	if err := json.NewDecoder(r.Body).Decode(reply); err != nil || r.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %s, %v", method, path, r.Status, err)
	}
}

// process is a process in /proc.
type process struct {
	pid, parent int
	state, args string
}

func processes(t *testing.T) (all []process) {
	t.Helper()
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		args, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		parent, _ := strconv.Atoi(fields[1])
		all = append(all, process{pid, parent, fields[0], strings.TrimSpace(strings.ReplaceAll(string(args), "\x00", " "))})
	}
	return all
}

// descendants returns the descendants of a process whose command lines begin with a prefix.
func descendants(t *testing.T, pid int, command string) (found []process) {
	t.Helper()
	all := processes(t)
	within := map[int]bool{pid: true}
	for changed := true; changed; {
		changed = false
		for _, p := range all {
			if within[p.parent] && !within[p.pid] {
				within[p.pid], changed = true, true
				if strings.HasPrefix(p.args, command) {
					found = append(found, p)
				}
			}
		}
	}
	return found
}

// In a PID namespace under the image's init, an MCP server and its processes end with the plugin that
// runs them and leave no zombies. When the init gets SIGTERM, everything ends in time.
func TestContainer(t *testing.T) {
	t.Parallel()
	needs(t, "unshare", "tini")
	everything := mcptest.EverythingServer(t)
	config := filepath.Join(t.TempDir(), "plugins.hcl")
	// Docker's seccomp profile allows no namespaces, so the init becomes the parent of orphaned processes.
	plugins := "plugin \"mcp\" \"stdio\" {\n  command = \"mcp-stdio\"\n  config {\n    namespace = false\n  }\n}\n"
	if err := os.WriteFile(config, []byte(plugins), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, []string{"unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "tini", "--"},
		"AGENTAREA_CONFIG="+config)
	unshared := s.cmd.Process.Pid

	var login struct {
		Token string `json:"access_token"`
	}
	s.call(t, "POST", "/v1/auth/login", "", map[string]string{"username": "admin", "password": adminPassword}, &login)
	var mcp struct{ ID, Status string }
	s.call(t, "POST", "/v1/mcp-servers/", login.Token,
		map[string]any{"name": "stray", "slug": "stray", "config": map[string]any{
			"command": "/bin/sh", "args": []string{"-c", "setsid sleep 86399 & exec " + everything},
		}}, &mcp)
	s.call(t, "POST", "/v1/mcp-servers/"+mcp.ID+"/start", login.Token, map[string]any{}, &mcp)
	running := func() bool {
		s.call(t, "GET", "/v1/mcp-servers/"+mcp.ID, login.Token, nil, &mcp)
		return mcp.Status == "running" && len(descendants(t, unshared, "sleep 86399")) == 1
	}
	eventually(t, "running MCP server", running)

	first := descendants(t, unshared, "sleep 86399")[0].pid
	for _, p := range descendants(t, unshared, filepath.Join(bin(t), "mcp-stdio")) {
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
	}
	eventually(t, "MCP server that runs again, and the end of what the first had started", func() bool {
		if !running() {
			return false
		}
		strays := descendants(t, unshared, "sleep 86399")
		return len(strays) == 1 && strays[0].pid != first
	})
	eventually(t, "end of the last zombie", func() bool {
		for _, p := range descendants(t, unshared, "") {
			if p.state == "Z" {
				return false
			}
		}
		return true
	})
	s.health(t)

	s.stop(t, func() {
		for _, p := range processes(t) {
			if p.parent == unshared {
				_ = syscall.Kill(p.pid, syscall.SIGTERM)
			}
		}
	})
}
