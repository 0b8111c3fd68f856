package e2e_test

import (
	"os"
	"testing"
)

// After SIGTERM the server reports that it is not ready, and serves on for the drain delay, which a second SIGTERM
// skips.
func TestDrainDelay(t *testing.T) {
	t.Parallel()
	s := newServer(t, chatPlugins)
	s.env = append(s.env, "AGENTAREA_DRAIN_DELAY=10m")
	s.start()
	c := s.signIn()
	agent := c.newAgent("echo")
	ws := c.dialWebSocket()
	ws.subscribe("tasks")
	s.terminate()
	eventually(t, "503 of /health/ready", func() bool { return c.get("/health/ready").status == 503 })
	if f := c.get("/health/ready").failure(t); f.Details.Field != "server" {
		t.Errorf("GET /health/ready = %+v, want field server", f)
	}
	c.get("/health").want(t, 200)
	c.get("/v1/agents/").want(t, 200)
	c.chat(agent, "s", "Hello")
	stream := c.startTurn(agent, "t", "/tokens 20 /delay 10ms")
	stream.readTokens(5)
	made := c.newTask(agent, "Hello")
	for _, want := range []string{"pending", "running", "completed"} {
		if m := ws.receive(); m.TaskID != made.ID || m.Status != want {
			t.Errorf("got %s, want status %s", m.raw, want)
		}
	}
	s.terminate() // again
	if end := stream.readAll(); end.Type != "end" {
		t.Errorf("the stream ends with %s, want end", end.data)
	}
	if code := s.exitCode(t); code != 0 {
		t.Errorf("got exit code %d, want 0", code)
	}
}

// A person who presses Ctrl-C does not wait for the drain delay.
func TestDrainDelay_interrupt(t *testing.T) {
	t.Parallel()
	s := newServer(t, chatPlugins)
	s.env = append(s.env, "AGENTAREA_DRAIN_DELAY=10m")
	s.start()
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := s.exitCode(t); code != 0 {
		t.Errorf("got exit code %d, want 0", code)
	}
}
