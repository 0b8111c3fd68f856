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

// goroutines returns the number of the server's goroutines.
func (c *client) goroutines() int {
	c.t.Helper()
	found := goroutinesMetric.FindSubmatch(c.get("/metrics").want(c.t, 200).body)
	if found == nil {
		c.t.Fatal("/metrics has no go_goroutines")
	}
	n, err := strconv.Atoi(string(found[1]))
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

// Clients that disconnect in the middle of a stream leave no goroutine behind, and their runs end.
// It is not parallel, because it counts goroutines.
func TestAbortedStreams(t *testing.T) {
	s := newServer(t, openPlugins)
	s.env = append(s.env, "AGENTAREA_RATE_LIMIT_PER_MINUTE=0", "AGENTAREA_RATE_LIMIT_BURST=0")
	s.start()
	c := s.signIn()
	agent := c.newAgent("echo")
	clients, concurrently := testenv.Rounds(200, 1000), 50
	var runs []string
	var mu sync.Mutex
	disconnect := func(i int) {
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
	disconnect(0)
	disconnect(1)
	// The baseline includes the resources of the first clients. It is taken when it does not shrink any more.
	baseline := c.goroutines()
	for same := 0; same < 10; same++ {
		time.Sleep(50 * time.Millisecond)
		if n := c.goroutines(); n < baseline {
			baseline, same = n, 0
		}
	}
	for from := 0; from < clients; from += concurrently {
		var all sync.WaitGroup
		for i := range concurrently {
			all.Go(func() { disconnect(2 + from + i) })
		}
		all.Wait()
	}
	// The runs continue without their clients.
	eventually(t, "the end of the runs", func() bool {
		for len(runs) > 0 {
			run := decode[struct{ Status string }](t, c.get("/v1/runs/"+runs[0]).want(t, 200))
			if run.Status == "running" {
				return false
			}
			if run.Status != "completed" {
				t.Errorf("got run status %s, want completed", run.Status)
			}
			runs = runs[1:]
		}
		return true
	})
	// Idle connections are not a leak.
	const idle = 30
	n := 0
	eventually(t, "the number of goroutines of the start", func() bool {
		n = c.goroutines()
		return n <= baseline+idle
	})
	t.Logf("%d goroutines before, %d after", baseline, n)
}
