package e2e_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/test/testenv"
)

// Oversized, deep and compressed bodies are rejected without using much memory.
func TestOversizedBodies(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	c := s.signIn()
	const agents = "/v1/agents/"
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write(bytes.Repeat([]byte(" "), 8<<20)); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	fields := strings.Builder{}
	for i := range 50_000 {
		fmt.Fprintf(&fields, `"f%d":1,`, i)
	}
	for _, tt := range []struct {
		name, body string
		status     int
		header     string
	}{
		{"a deep object", strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000), 413, ""},
		{"a deep array that never ends", strings.Repeat("[", 1<<20-1), 413, ""},
		{"a deep config", `{"name":"a","type":"chat","config":` + strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 71), 413, ""},
		{"a huge number", `{"name":"a","type":"chat","config":{"model":"echo","temperature":1` + strings.Repeat("0", 400) + `}}`, 400, ""},
		{"a huge exponent", `{"name":"a","type":"chat","config":{"model":"echo","max_tokens":1e999999999}}`, 400, ""},
		{"a long name", `{"name":"` + strings.Repeat("a", 1<<19) + `","type":"chat"}`, 400, ""},
		{"many fields", `{` + fields.String() + `"name":"a"}`, 400, ""},
		{"too long", `{"name":"` + strings.Repeat("a", 2<<20) + `"}`, 413, ""},
		{"a bomb", zipped.String(), 415, "Content-Encoding: gzip"},
		{"brackets in a string", `{"name":"` + strings.Repeat("[", 100) + `","type":"chat","config":{"model":"echo"}}`, 201, ""},
		{"a key twice", `{"name":"a","name":"b","type":"chat","config":{"model":"echo"}}`, 201, ""},
	} {
		headers := []string{}
		if tt.header != "" {
			headers = append(headers, tt.header)
		}
		r := c.do("POST", agents, tt.body, headers...)
		if r.status != tt.status {
			t.Errorf("%s: got status %d, want %d: %s", tt.name, r.status, tt.status, r.body[:min(len(r.body), 300)])
		}
		if len(r.body) > 64<<10 {
			t.Errorf("%s: the reply has %d bytes", tt.name, len(r.body))
		}
	}
	if peak := peakMemory(t, s.cmd.Process.Pid); peak > 400<<20 {
		t.Errorf("the server used %d MB, want at most 400", peak>>20)
	}
}

// peakMemory returns the largest resident size of a process so far, in bytes. It is 0 where there is no /proc.
func peakMemory(t *testing.T, pid int) int64 {
	t.Helper()
	if runtime.GOOS != "linux" {
		return 0
	}
	status, err := os.ReadFile("/proc/" + itoa(pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kb int64
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		t.Fatal(err)
	}
	return kb << 10
}

// The server disconnects clients that send a byte now and then, and serves others in the meantime.
func TestSlowClients(t *testing.T) {
	testenv.Slow(t)
	t.Parallel()
	s := start(t, "")
	c := s.signIn()
	for name, tt := range map[string]struct {
		head    string
		endedIn time.Duration
	}{
		"headers":         {"POST /v1/agents/ HTTP/1.1\r\nHost: a\r\nX-Slow: ", 20 * time.Second},
		"body":            {"POST /v1/agents/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + c.token + "\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"name\":\"", 45 * time.Second},
		"body of sign-in": {"POST /v1/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"username\":\"", 45 * time.Second},
		"body of nobody":  {"POST /v1/agents/ HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"name\":\"", 15 * time.Second},
		"MCP's body":      {"POST /mcp/none/mcp/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{", 15 * time.Second},
		"chunks":          {"POST /v1/agents/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + c.token + "\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n", 45 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, tt.head); err != nil {
				t.Fatal(err)
			}
			drip := "a"
			if name == "chunks" {
				drip = "1\r\n \r\n"
			}
			answer := make([]byte, 4096)
			stopwatch := testenv.StartStopwatch()
			eventually(t, "the end of the connection", func() bool {
				c.get("/health").want(t, 200)     // the server serves other clients in the meantime
				_, _ = io.WriteString(conn, drip) // reading returns the error
				_ = conn.SetReadDeadline(time.Now().Add(time.Second))
				_, err := conn.Read(answer)
				return err == nil || !errors.Is(err, os.ErrDeadlineExceeded)
			})
			stopwatch.Check(t, tt.endedIn, "the end of the connection")
		})
	}
}
