package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// growth measures whether the server uses more memory or becomes slower with the number of sessions.
func growth(ctx context.Context, s *settings) error {
	r, err := newRig(ctx, s, model{tokens: s.tokens})
	if err != nil {
		return err
	}
	defer r.close()
	if r.server == nil {
		return errors.New("needs the server among the targets")
	}
	const step = 1000
	steps := max(s.scaled(s.sessions)/step, 2)
	t := newTable("Growth over new sessions of one turn, 16 clients (aim: nothing that grows)",
		"sessions", "turns/s", "p50", "p99", "direct p50 at the time", "RSS of all", "PSS of all")
	var took [2]time.Duration
	var held [2]int64
	for i := range steps {
		got := r.drive(ctx, r.server, load{clients: 16, turns: step, perSession: 1})
		if got.fault != nil {
			return got.fault
		}
		// The direct call shows whether the machine has become slower.
		direct := "-"
		if r.targets[0].name() == "direct" {
			res := r.drive(ctx, r.targets[0], load{clients: 16, turns: step})
			if res.fault != nil {
				return res.fault
			}
			direct = ms(percentile(res.total, 0.5))
		}
		list, err := memoryOf(r.server.pid())
		if err != nil {
			return err
		}
		all := list[len(list)-1]
		p50 := percentile(got.total, 0.5)
		if i == 0 {
			took[0], held[0] = p50, all.rss
		}
		took[1], held[1] = p50, all.rss
		if i == 0 || (i+1)%max(steps/10, 1) == 0 {
			t.row(fmt.Sprint((i+1)*step), fmt.Sprintf("%.0f", got.perSecond()), ms(p50), ms(percentile(got.total, 0.99)),
				direct, mib(all.rss), mib(all.pss))
		}
	}
	t.print()
	fmt.Printf("  the last thousand by the first: p50 %s, RSS %+.1f MiB\n",
		times(took[1], took[0]), float64(held[1]-held[0])/1024)
	return nil
}
