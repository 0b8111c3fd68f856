package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// streams measures many slow answers at the same time.
func streams(ctx context.Context, s *settings) error {
	m := model{tokens: 50, delay: 20 * time.Millisecond}
	r, err := newRig(ctx, s, m)
	if err != nil {
		return err
	}
	defer r.close()
	ideal := time.Duration(m.tokens) * m.delay
	t := newTable("Streams of 50 tokens at 20 ms (keep-up is the ideal length, 1 s, by the mean one; CPU is the "+
		"target's own)",
		"streams", "target", "keep-up", "failed", "tokens/s", "first token p50",
		"p99", "CPU us/token", "keep-up known", "aim")
	var faults []error
	for _, step := range []struct {
		clients, each int
		known, aim    string
	}{{200, 5, "0.995", "0.99"}, {1000, 3, "0.67", "0.55"}} {
		if err := r.warm(ctx, step.clients, step.clients, true); err != nil {
			return err
		}
		got, spent, err := r.hold(ctx, step.clients, max(s.scaled(step.each), 2), ideal)
		if err != nil {
			return err
		}
		for _, target := range r.targets {
			res, known, aim := got[target.name()], "", ""
			if target == r.server {
				known, aim = step.known, step.aim
			}
			t.row(fmt.Sprint(step.clients), target.name(),
				fmt.Sprintf("%.3f", float64(ideal)/float64(max(mean(res.total), 1))),
				fmt.Sprint(res.failed), fmt.Sprintf("%.0f", float64(res.tokens)/res.elapsed.Seconds()),
				ms(percentile(res.first, 0.5)), ms(percentile(res.first, 0.99)),
				fmt.Sprintf("%.1f", float64(spent[target.name()].Microseconds())/float64(max(res.tokens, 1))), known, aim)
			if res.fault != nil {
				faults = append(faults, fmt.Errorf("%d streams: %w", step.clients, res.fault))
			}
		}
	}
	t.print()
	return errors.Join(faults...)
}

// hold runs that many streams at each target, twice in turns. The streams start evenly over the length
// of one stream, until each client has finished its part.
func (r *rig) hold(
	ctx context.Context, clients, each int, ideal time.Duration,
) (map[string]*result, map[string]time.Duration, error) {
	got, spent := map[string]*result{}, map[string]time.Duration{}
	for range 2 {
		for _, t := range r.targets {
			before, err := cpuTime(t.pid())
			if err != nil {
				return nil, nil, err
			}
			res := r.drive(ctx, t, load{clients: clients, turns: clients * each, stream: true, perSession: 10, spread: ideal})
			if ctx.Err() != nil {
				return nil, nil, ctx.Err()
			}
			after, err := cpuTime(t.pid())
			if err != nil {
				return nil, nil, err
			}
			if got[t.name()] == nil {
				got[t.name()] = &result{}
			}
			got[t.name()].add(res)
			spent[t.name()] += after - before
		}
	}
	return got, spent, nil
}
