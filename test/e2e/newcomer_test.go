package e2e_test

import (
	"net"
	"regexp"
	"strings"
	"testing"
)

var printedPassword = regexp.MustCompile(`first admin is "admin" with the password (\S+)`)

// A newcomer starts the server with nothing set up, and makes the README's calls.
func TestNewcomer(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	s.env = nil
	s.start()
	banner := s.stdout.String()
	for _, part := range []string{s.url + "/docs", "llm echo", "agent chat", "running"} {
		if !strings.Contains(banner, part) {
			t.Errorf("no %q in the banner:\n%s", part, banner)
		}
	}
	found := printedPassword.FindStringSubmatch(banner)
	if found == nil {
		t.Fatalf("no password in the banner:\n%s", banner)
	}
	password := found[1]
	if !strings.Contains(s.stderr.String(), "built-in default") {
		t.Error("the log does not say that the built-in plugins.hcl serves")
	}
	if strings.Contains(s.stderr.String(), password) {
		t.Error("the password is in the log")
	}

	c := s.signInAs("admin", password)
	agent := c.newAgent("echo")
	if got := c.chat(agent, "first", "Hello there").Message; got != "Hello there" {
		t.Errorf("the answer is %q", got)
	}
	stream := c.startTurn(agent, "first", "Tell me a story")
	if end := stream.readAll(); end.Type != "end" || messageText(stream.seen) != "Tell me a story" {
		t.Errorf("the stream said %q and ended with %+v", messageText(stream.seen), end)
	}
	if n := len(c.history(agent, "first")); n != 4 {
		t.Errorf("history has %d messages, want 4", n)
	}

	s.kill()
	s.restart()
	if strings.Contains(s.stdout.String(), "password") {
		t.Errorf("the password is told again:\n%s", s.stdout)
	}
	s.signInAs("admin", password)
}

// A first start that fails must not use up the password that is shown once.
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
		t.Fatalf("nobody knows the password:\n%s", s.stdout)
	}
	s.signInAs("admin", found[1])
}
