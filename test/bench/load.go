package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// load is a number of turns by a number of clients. Each client waits for its answer before it sends
// the next turn.
type load struct {
	clients, turns int
	stream         bool
	// perSession is the number of turns of a session.
	perSession int
	// spread is the time over which the clients start.
	spread time.Duration
}

// result is the result of a load.
type result struct {
	first, total   []time.Duration
	tokens, failed int
	elapsed        time.Duration
	// fault is the first failure.
	fault error
}

// sessions numbers sessions in the whole run.
var sessions atomic.Int64

// drive runs a load on a target.
func (r *rig) drive(ctx context.Context, t target, l load) result {
	var (
		taken atomic.Int64
		wg    sync.WaitGroup
	)
	results := make([]result, l.clients)
	begin := time.Now()
	for i, c := range r.connections(t, l.clients) {
		wg.Go(func() {
			if !sleep(ctx, time.Duration(i)*l.spread/time.Duration(l.clients)) {
				return
			}
			results[i] = r.client(ctx, c, t, l, &taken)
		})
	}
	wg.Wait()
	sum := result{elapsed: time.Since(begin)}
	for _, part := range results {
		sum.add(part)
	}
	if ctx.Err() != nil && sum.fault == nil {
		sum.fault = ctx.Err()
	}
	return sum
}

// client sends turns until all turns of the load have been sent.
func (r *rig) client(ctx context.Context, c *client, t target, l load, taken *atomic.Int64) result {
	var res result
	session := ""
	for n := 0; taken.Add(1) <= int64(l.turns) && ctx.Err() == nil; n++ {
		if n%max(l.perSession, 1) == 0 {
			session = fmt.Sprintf("bench-%d", sessions.Add(1))
		}
		a := c.do(ctx, t, turn{session: session, stream: l.stream})
		if a.err == nil && a.tokens != r.model.tokens {
			a.err = fmt.Errorf("the answer has %d tokens, want %d", a.tokens, r.model.tokens)
		}
		if a.err != nil {
			res.failed++
			if res.fault == nil {
				res.fault = fmt.Errorf("%s: %w", t.name(), a.err)
			}
			continue
		}
		res.total = append(res.total, a.total)
		if l.stream {
			res.first = append(res.first, a.first)
		}
		res.tokens += a.tokens
	}
	return res
}

func (r *result) add(o result) {
	r.first = append(r.first, o.first...)
	r.total = append(r.total, o.total...)
	r.tokens += o.tokens
	r.failed += o.failed
	r.elapsed += o.elapsed
	if r.fault == nil {
		r.fault = o.fault
	}
}

// perSecond returns the number of answered turns in a second.
func (r *result) perSecond() float64 { return float64(len(r.total)) / r.elapsed.Seconds() }

// percentile returns a percentile of a sample, or 0 if it is empty.
func percentile(sample []time.Duration, p float64) time.Duration {
	if len(sample) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(sample))
	return sorted[min(int(p*float64(len(sorted))), len(sorted)-1)]
}

func mean(sample []time.Duration) time.Duration {
	if len(sample) == 0 {
		return 0
	}
	var sum time.Duration
	for _, d := range sample {
		sum += d
	}
	return sum / time.Duration(len(sample))
}

// sleep waits for d. It returns false if ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// warm opens the connections and runs a small load, so that every program is warmed up.
func (r *rig) warm(ctx context.Context, clients, turns int, stream bool) error {
	for _, t := range r.targets {
		res := r.drive(ctx, t, load{clients: clients, turns: turns, stream: stream, perSession: 10})
		if res.fault != nil {
			return res.fault
		}
	}
	return nil
}
