package main

import (
	"context"
	"errors"
	"time"
)

// memory measures the memory of the server and its plugins, idle and under load.
func memory(ctx context.Context, s *settings) error {
	r, err := newRig(ctx, s, model{tokens: 50, delay: 20 * time.Millisecond})
	if err != nil {
		return err
	}
	defer r.close()
	if r.server == nil {
		return errors.New("needs the server among the targets")
	}
	sleep(ctx, 3*time.Second)
	idle, err := memoryOf(r.server.pid())
	if err != nil {
		return err
	}
	t := newTable("Memory (known idle: 31 MiB for a bare server with one plugin; aim: under 80 MiB for all processes)",
		"state", "process", "RSS", "PSS")
	show(t, "idle", idle)
	for _, step := range []struct {
		state   string
		clients int
	}{{"200 streams, at most", 200}, {"1,000 streams, at most", 1000}} {
		stop := watchMemory(ctx, r.server.pid())
		res := r.drive(ctx, r.server, load{
			clients: step.clients, turns: step.clients * max(s.scaled(5), 2), stream: true, perSession: 10, spread: time.Second,
		})
		peak := stop()
		if res.fault != nil {
			return res.fault
		}
		show(t, step.state, peak)
	}
	sleep(ctx, 5*time.Second)
	after, err := memoryOf(r.server.pid())
	if err != nil {
		return err
	}
	show(t, "5 s after", after)
	t.print()
	return nil
}

func show(t *table, state string, list []usage) {
	for _, u := range list {
		t.row(state, u.name, mib(u.rss), mib(u.pss))
		state = ""
	}
}
