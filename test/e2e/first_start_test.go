package e2e_test

import (
	"net"
	"regexp"
	"strings"
	"testing"
)

var printedPassword = regexp.MustCompile(`first admin is "admin" with the password (\S+)`)

// A server without any configuration starts, and the calls of the README work.
func TestFirstStart(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	s.env = nil
	s.start()
	banner := s.stdout.String()
	for _, part := range []string{s.url + "/docs", "llm echo", "agent chat", "running"} {
		if !strings.Contains(banner, part) {
			t.Errorf("the banner does not contain %q:\n%s", part, banner)
		}
	}
	found := printedPassword.FindStringSubmatch(banner)
	if found == nil {
		t.Fatalf("the banner does not contain the password:\n%s", banner)
	}
	password := found[1]
	if !strings.Contains(s.stderr.String(), "built-in default") {
		t.Error("the log does not mention the built-in plugins.hcl")
	}
	if strings.Contains(s.stderr.String(), password) {
		t.Error("the password is in the log")
	}

	c := s.signInAs("admin", password)
	agent := c.newAgent("echo")
	if got := c.chat(agent, "first", "Hello there").Message; got != "Hello there" {
		t.Errorf("got answer %q, want the message", got)
	}
	stream := c.startTurn(agent, "first", "Tell me a story")
	if end := stream.readAll(); end.Type != "end" || messageText(stream.seen) != "Tell me a story" {
		t.Errorf("the stream has %q and ends with %+v", messageText(stream.seen), end)
	}
	if n := len(c.history(agent, "first")); n != 4 {
		t.Errorf("got %d messages, want 4", n)
	}

	s.kill()
	s.restart()
	if strings.Contains(s.stdout.String(), "password") {
		t.Errorf("the second banner contains the password:\n%s", s.stdout)
	}
	s.signInAs("admin", password)
}

// If the first start fails, the next one prints the admin's password.
func TestFirstStartFails(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	s := newServer(t, "")
	s.env = nil
	s.args = []string{"--listen", taken.Addr().String()}
	s.wantStartError("another address")
	s.args = []string{"--listen", "127.0.0.1:0"}
	s.start()
	found := printedPassword.FindStringSubmatch(s.stdout.String())
	if found == nil {
		t.Fatalf("the banner does not contain the password:\n%s", s.stdout)
	}
	s.signInAs("admin", found[1])
}
