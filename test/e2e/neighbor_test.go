package e2e_test

import (
	"testing"
	"time"

	"github.com/agentarea/agentarea/test/testenv"
)

const hostilePlugins = `
plugin "llm" "echo" {
  command = "llm-echo"
}
plugin "agent" "chat" {
  command = "agent-chat"
}
plugin "mcp" "http" {
  command = "mcp-http"
  config {
    allow = ["127.0.0.1"]
  }
}
`

// One member who does everything to use up a server with 1 GiB of memory cannot end it, cannot delay the others much,
// and cannot make them lose something: with each attack alone, and with all of them, without and with rate limits.
//
// It is not parallel, because it compares times.
func TestHostileMember(t *testing.T) {
	testenv.Slow(t)
	testenv.Linux(t)
	s := newServer(t, hostilePlugins)
	w := &neighborhood{server: s, group: limitMemory(t, s)}
	s.start()
	w.findProcesses()
	w.victims = newVictims(s, 8)
	idle := w.victims.work(100*time.Millisecond, func() { time.Sleep(3 * time.Second) })
	t.Logf("without attacks: p99 %s: %v", idle.p99(), idle)
	// The limit grows with the load of the machine. It is less than what the others waited for while the hostile member
	// could occupy the whole database.
	w.limit = 3*time.Second + 40*idle.p99()
	began := time.Now()
	w.hostile = newHostile(t, s, toolServer(t))
	t.Logf("the hostile member prepared for %s", time.Since(began).Round(time.Second))

	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) { w.check(t, 2*time.Second, 100*time.Millisecond, a) })
	}
	t.Run("all", func(t *testing.T) { w.check(t, 10*time.Second, 100*time.Millisecond, attacks...) })
	w.hostile.wantToolsRefused(t)

	s.kill()
	free := s.env
	s.env = append(s.env, "AGENTAREA_RATE_LIMIT_PER_MINUTE=100", "AGENTAREA_RATE_LIMIT_BURST=20") // the defaults
	s.restart()
	w.findProcesses()
	t.Run("all with rate limits", func(t *testing.T) {
		w.check(t, 15*time.Second, 700*time.Millisecond, attacks...)
	})
	s.kill()
	s.env = free // so that the test can wait for the tasks
	s.restart()
	w.victims.wantNothingLost(t)
}

// neighborhood is a server with a hostile member and others.
type neighborhood struct {
	server *server
	group  *memoryGroup
	// processes are the ids of the server and its plugins by their names.
	processes map[string]int
	victims   *victims
	hostile   *hostileMember
	// limit is the maximum p99 of the victims' requests.
	limit time.Duration
}

func (n *neighborhood) findProcesses() {
	n.processes = map[string]int{"server": n.server.cmd.Process.Pid}
	for _, p := range n.server.signIn().plugins() {
		n.processes[p.Kind+" "+p.Label] = p.PID
	}
}

// check makes the attacks while the victims send a request per interval, and checks that the server and its plugins
// survive, and that all requests of the victims succeed in time.
func (n *neighborhood) check(t *testing.T, length, interval time.Duration, attacks ...attack) {
	t.Helper()
	var replies map[string]int
	var got measured
	growth(t, n.processes, func() {
		got = n.victims.work(interval, func() { replies = n.hostile.attack(t, length, attacks...) })
	})
	select {
	case <-n.server.exited:
		t.Fatalf("the server has ended with %v", n.server.cmd.ProcessState)
	default:
	}
	total := 0
	peaks := map[string]int{}
	for name, pid := range n.processes {
		peaks[name] = memory(t, pid)
		total += peaks[name]
	}
	t.Logf("the hostile member got %v", replies)
	t.Logf("p99 %s: %v", got.p99(), got)
	t.Logf("largest sizes in KiB: %v", peaks)
	if killed := n.group.killed(t); killed > 0 {
		t.Errorf("the kernel killed %d processes of the server, want none", killed)
	}
	if n.group.dir == "" && total > memoryLimit>>10 {
		t.Errorf("the server and its plugins used %d KiB, want at most %d", total, memoryLimit>>10)
	}
	if len(got.problems) > 0 {
		t.Errorf("%d requests of others failed; the first one: %s", len(got.problems), got.problems[0])
	}
	if got.p99() > n.limit {
		t.Errorf("the p99 of others is %s, want at most %s", got.p99(), n.limit)
	}
}
