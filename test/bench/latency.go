package main

import (
	"context"
	"fmt"
	"time"
)

// latency measures the time that the server adds to a turn, and the time that the proxy adds.
func latency(ctx context.Context, s *settings) error {
	r, err := newRig(ctx, s, model{tokens: s.tokens})
	if err != nil {
		return err
	}
	defer r.close()
	if err := r.warm(ctx, 64, 640, false); err != nil {
		return err
	}
	plain := newTable(fmt.Sprintf("Added latency of a turn (JSON, %d tokens, time above the direct call)", s.tokens),
		"clients", "", "direct", "proxy adds", "server adds", "ratio", "known", "aim", "turns/s direct, proxy, server")
	for _, step := range []struct {
		clients, turns int
		known, aim     string
	}{{1, 1500, "3.6 x", "5.5 x"}, {16, 6000, "5 x", "7.5 x"}, {64, 9000, "", ""}} {
		got, err := r.compare(ctx, load{clients: step.clients, turns: s.scaled(step.turns), perSession: 10})
		if err != nil {
			return err
		}
		rates := ""
		for _, t := range r.targets {
			rates += fmt.Sprintf("%.0f  ", got[t.name()].perSecond())
		}
		total := func(r *result) []time.Duration { return r.total }
		added(plain, fmt.Sprint(step.clients), "p50", 0.50, got, total, step.known, step.aim, rates)
		added(plain, "", "p99", 0.99, got, total)
	}
	plain.print()

	first := newTable("Added time to the first token (SSE, time above the direct call)",
		"clients", "", "direct", "proxy adds", "server adds", "ratio")
	for _, clients := range []int{1, 16} {
		got, err := r.compare(ctx,
			load{clients: clients, turns: s.scaled(1500 * min(clients, 3)), stream: true, perSession: 10})
		if err != nil {
			return err
		}
		firsts := func(r *result) []time.Duration { return r.first }
		added(first, fmt.Sprint(clients), "p50", 0.50, got, firsts)
		added(first, "", "p99", 0.99, got, firsts)
	}
	first.print()
	return nil
}

// rounds is the number of parts of a comparison.
const rounds = 5

// compare runs the same load on every target, in turns.
func (r *rig) compare(ctx context.Context, l load) (map[string]*result, error) {
	got := map[string]*result{}
	for _, t := range r.targets {
		got[t.name()] = &result{}
	}
	l.turns = max(l.turns/rounds, l.clients)
	for range rounds {
		for _, t := range r.targets {
			res := r.drive(ctx, t, l)
			if res.fault != nil {
				return nil, res.fault
			}
			got[t.name()].add(res)
		}
	}
	return got, nil
}

// added appends a row with a percentile of each target minus that of the direct call.
func added(
	t *table, clients, label string, p float64, got map[string]*result,
	sample func(*result) []time.Duration, more ...string,
) {
	at := func(name string) time.Duration {
		res := got[name]
		if res == nil {
			return 0
		}
		return percentile(sample(res), p)
	}
	direct := at("direct")
	above := func(name string) (time.Duration, string) {
		if got[name] == nil || got["direct"] == nil {
			return 0, "-"
		}
		return at(name) - direct, ms(at(name) - direct)
	}
	proxy, proxyAdds := above("proxy")
	server, serverAdds := above("server")
	t.row(append([]string{clients, label, ms(direct), proxyAdds, serverAdds, times(server, proxy)}, more...)...)
}
