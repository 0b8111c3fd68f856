package plugintest_test

import (
	"bufio"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
	"github.com/agentarea/agentarea/sdk/plugintest"
)

type text string

func (s *text) Send(d llm.Delta) error {
	*s += text(d.Text)
	return nil
}

// The process that the host starts is a proxy to the process that was started with --debug.
func TestServe_debug(t *testing.T) {
	t.Parallel()
	path := program(t, "FAULTY", faulty)
	cmd := exec.CommandContext(t.Context(), path, "--debug")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	var socket string
	lines := bufio.NewScanner(stderr)
	for socket == "" && lines.Scan() {
		if found := regexp.MustCompile(`env = { AGENTAREA_DEBUG = "(.*)" }`).FindStringSubmatch(lines.Text()); found != nil {
			socket = found[1]
		}
	}
	go func() { _, _ = io.Copy(io.Discard, stderr) }()
	// Only the proxy process has FAULT, so the fault has no effect.
	plugin := plugintest.Start(t, "llm",
		plugintest.Command{Path: path, Env: []string{"AGENTAREA_DEBUG=" + socket, "FAULT=answer"}})
	p := llm.NewClient(plugin.Conn)
	chat := func(prompt string) (text, error) {
		var answer text
		_, err := p.Chat(t.Context(),
			&llm.Request{Model: "one", Stream: true, Messages: []sdk.Message{sdk.Text(sdk.RoleUser, prompt)}}, &answer)
		return answer, err
	}
	if answer, err := chat(strings.Repeat("a", 5<<20)); err != nil || answer != "fine" {
		t.Errorf("got %q, %v", answer, err)
	}
	if _, err := chat("limited"); err == nil || sdk.AsError(err).Code != sdk.CodeRateLimited ||
		!sdk.AsError(err).Retryable {
		t.Errorf("got the error %v, want a retryable one with code rate_limited", err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; {
		if _, err := chat("hello"); err != nil {
			break // the call fails, although the proxy process is still running
		}
		if time.Now().After(deadline) {
			t.Fatal("calls still succeed after the debugged process was stopped")
		}
	}
}
