package plugintest

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

func (s *mcpChecks) config(t *testing.T) {
	if err := s.client.CheckConfig(t.Context(), s.server); err != nil {
		t.Errorf("CheckConfig of the server in the script: %v", err)
	}
	if err := s.client.CheckConfig(t.Context(), json.RawMessage(`{"plugintest_no_such_name": 1}`)); err == nil {
		t.Error("CheckConfig accepted a config without a command or URL, want an error")
	}
}

// configOffline checks that CheckConfig, which the server calls for each change of a config, does not use the network
// and starts no program.
func (s *mcpChecks) configOffline(t *testing.T) {
	if s.programs {
		s.configStartsNothing(t)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var server any
	if err := json.Unmarshal(s.server, &server); err != nil {
		t.Fatal(err)
	}
	server, found := withAddress(server, l.Addr().String())
	if !found {
		t.Log("did not check the network, because the server of the script has no URL and no address of the form host:port")
		return
	}
	config, err := json.Marshal(server)
	if err != nil {
		t.Fatal(err)
	}
	callers := make(chan net.Addr)
	go accept(l, callers)
	_ = s.client.CheckConfig(t.Context(), config) // may reject the address
	for _, caller := range callersBeforeNow(t, l, callers) {
		t.Errorf("CheckConfig connected to the server of the config %s (from %s), want no use of the network: the server "+
			"calls it for each change of a config, with addresses that users enter", config, caller)
	}
}

// accept sends the address of each caller, and closes its connection.
func accept(l net.Listener, callers chan<- net.Addr) {
	defer close(callers)
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_ = conn.Close()
		callers <- conn.RemoteAddr()
	}
}

// callersBeforeNow returns the addresses that have connected to l until now. Connections are accepted in their order,
// so it waits for a connection of its own.
func callersBeforeNow(t *testing.T, l net.Listener, callers <-chan net.Addr) []net.Addr {
	t.Helper()
	own, err := (&net.Dialer{Timeout: callTimeout}).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	var before []net.Addr
	for {
		select {
		case caller := <-callers:
			if caller.String() == own.LocalAddr().String() {
				return before
			}
			before = append(before, caller)
		case <-time.After(callTimeout):
			t.Fatal("the connection of the check was not accepted")
		}
	}
}

// withAddress returns v with the address in place of the host and port of each URL and each address in it, and whether
// there was one.
func withAddress(v any, address string) (changed any, found bool) {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			var ok bool
			v[name], ok = withAddress(value, address)
			found = found || ok
		}
	case []any:
		for i, value := range v {
			var ok bool
			v[i], ok = withAddress(value, address)
			found = found || ok
		}
	case string:
		if u, err := url.Parse(v); err == nil && u.Scheme != "" && u.Host != "" {
			u.Host = address
			return u.String(), true
		}
		if _, port, err := net.SplitHostPort(v); err == nil {
			if _, err := strconv.ParseUint(port, 10, 16); err == nil {
				return address, true
			}
		}
	}
	return v, found
}

// configStartsNothing checks that CheckConfig does not start the program of the config.
func (s *mcpChecks) configStartsNothing(t *testing.T) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "started")
	if err := s.client.CheckConfig(t.Context(), shell(file, `: > "$`+markName+`"; exec cat`)); err != nil {
		t.Errorf("CheckConfig of a shell command: %v", err)
	}
	if err := exchange(t, s.connect(t, shell("", "cat")), 1, 10); err != nil { // gives a program the time to start
		t.Fatal(err)
	}
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("CheckConfig started the program of the config (stat: %v), want no start", err)
	}
}
