package e2e_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentarea/agentarea/test/testenv"
)

var goroutinesMetric = regexp.MustCompile(`(?m)^go_goroutines (\d+)`)

// goroutines is how many the server has.
func (c *client) goroutines() int {
	c.t.Helper()
	found := goroutinesMetric.FindSubmatch(c.get("/metrics").want(c.t, 200).body)
	if found == nil {
		c.t.Fatal("no go_goroutines in /metrics")
	}
	n, err := strconv.Atoi(string(found[1]))
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

// Of 1,000 clients that go away in the middle of a stream the server keeps nothing,
// and the runs that they watched end on their own.
func TestAbortedStreams(t *testing.T) {
	s := newServer(t, openPlugins)
	s.env = append(s.env, "AGENTAREA_RATE_LIMIT_PER_MINUTE=0", "AGENTAREA_RATE_LIMIT_BURST=0")
	s.start()
	c := s.signIn()
	agent := c.newAgent("echo")
	clients, concurrently := testenv.Rounds(200, 1000), 50
	var runs []string
	var mu sync.Mutex
	leave := func(i int) {
		if i%2 == 0 {
			w := c.dialWebSocket()
			w.subscribe("agent." + agent + ".events")
			_ = w.conn.CloseNow()
			return
		}
		st := c.startTurn(agent, fmt.Sprintf("s-%d", i), strings.Repeat("word ", 200))
		e, _ := st.next()
		mu.Lock()
		runs = append(runs, e.RunID)
		mu.Unlock()
		st.close()
	}
	leave(0)
	leave(1)
	settled := func(most int) int {
		n := 0
		eventually(t, "quiet", func() bool {
			n = c.goroutines()
			return n <= most
		})
		return n
	}
	settled(1 << 20)
	time.Sleep(time.Second) // the baseline: what the first clients woke is asleep again
	baseline := c.goroutines()
	for from := 0; from < clients; from += concurrently {
		var all sync.WaitGroup
		for i := range concurrently {
			all.Go(func() { leave(2 + from + i) })
		}
		all.Wait()
	}
	// Their runs go on; they are over before it is counted.
	eventually(t, "the runs' ends", func() bool {
		for len(runs) > 0 {
			run := decode[struct{ Status string }](t, c.get("/v1/runs/"+runs[0]).want(t, 200))
			if run.Status == "running" {
				return false
			}
			if run.Status != "completed" {
				t.Errorf("a run is %s", run.Status)
			}
			runs = runs[1:]
		}
		return true
	})
	// Connections that wait for their next request are no leak.
	const idle = 30
	n := 0
	within(t, eventually(t, "the baseline", func() bool {
		n = c.goroutines()
		return n <= baseline+idle
	}), 2*time.Second, "back at the baseline")
	t.Logf("%d goroutines before, %d after", baseline, n)
}
