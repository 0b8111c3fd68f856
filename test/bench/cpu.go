package main

import (
	"context"
	"fmt"
	"time"
)

// cpu measures the CPU time of a turn in the target's processes.
func cpu(ctx context.Context, s *settings) error {
	r, err := newRig(ctx, s, model{tokens: s.tokens})
	if err != nil {
		return err
	}
	defer r.close()
	if err := r.warm(ctx, 16, 480, false); err != nil {
		return err
	}
	t := newTable(fmt.Sprintf("CPU seconds of 1,000 turns (JSON, %d tokens; the server's plugins included)", s.tokens),
		"clients", "direct's upstream", "proxy", "server", "server by proxy", "known", "aim")
	for _, step := range []struct {
		clients, turns int
		known, aim     string
	}{{1, 2000, "1.17", ""}, {16, 5000, "0.53", "0.8"}} {
		spent := map[string]time.Duration{}
		turns := max(s.scaled(step.turns)/rounds, step.clients)
		for range rounds {
			for _, target := range r.targets {
				before, err := cpuTime(target.pid())
				if err != nil {
					return err
				}
				res := r.drive(ctx, target, load{clients: step.clients, turns: turns, perSession: 10})
				if res.fault != nil {
					return res.fault
				}
				after, err := cpuTime(target.pid())
				if err != nil {
					return err
				}
				spent[target.name()] += after - before
			}
		}
		per := func(name string) string {
			return fmt.Sprintf("%.2f", spent[name].Seconds()*1000/float64(turns*rounds))
		}
		t.row(fmt.Sprint(step.clients), per("direct"), per("proxy"), per("server"),
			times(spent["server"], spent["proxy"]), step.known, step.aim)
	}
	t.print()
	return nil
}
