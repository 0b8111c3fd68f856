package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// model describes the upstream's answers.
type model struct {
	tokens int
	delay  time.Duration
}

// rig is an upstream, a proxy and a server in front of it, and connections to each. Every part of the
// report has its own rig, so that it does not start with the heap of another part.
type rig struct {
	targets []target
	server  *agentarea
	model   model
	procs   []*process
	clients map[string][]*client
	cancel  context.CancelFunc
}

func newRig(ctx context.Context, s *settings, m model) (*rig, error) {
	dir, err := os.MkdirTemp(s.dir, "rig-")
	if err != nil {
		return nil, err
	}
	r := &rig{model: m, clients: map[string][]*client{}}
	ctx, r.cancel = context.WithCancel(ctx)
	if err := r.start(ctx, s, dir); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *rig) start(ctx context.Context, s *settings, dir string) error {
	fake, err := build(ctx, s.dir, "./test/openaitest/cmd/fakeopenai")
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	upstream, base, err := r.launch(ctx, dir, "upstream", fake,
		"--listen", "127.0.0.1:0", "--key", "bench", "--tokens",
		fmt.Sprint(r.model.tokens), "--delay", r.model.delay.String())
	if err != nil {
		return err
	}
	root := strings.TrimSuffix(base, "/v1")
	if slices.Contains(s.targets, "direct") {
		r.targets = append(r.targets, &openai{label: "direct", addr: strings.TrimPrefix(root, "http://"), process: upstream})
	}
	if slices.Contains(s.targets, "proxy") {
		proxy, url, err := r.launch(ctx, dir, "proxy", self, "proxy", root)
		if err != nil {
			return err
		}
		r.targets = append(r.targets, &openai{label: "proxy", addr: strings.TrimPrefix(url, "http://"), process: proxy})
	}
	if slices.Contains(s.targets, "server") {
		binary, err := filepath.Abs(s.server)
		if err != nil {
			return err
		}
		if err := r.startServer(ctx, dir, binary, fmt.Appendf(nil, pluginsHCL, base)); err != nil {
			return err
		}
		r.targets = append(r.targets, r.server)
	}
	return nil
}

// launch starts a program whose first line of output is its address.
func (r *rig) launch(ctx context.Context, dir, name, path string, args ...string) (*process, string, error) {
	p, err := start(dir, name, nil, path, args...)
	if err != nil {
		return nil, "", err
	}
	r.procs = append(r.procs, p)
	line, err := p.firstLine(ctx)
	return p, line, err
}

// close ends the processes, starting with the server.
func (r *rig) close() {
	r.cancel()
	for _, list := range r.clients {
		for _, c := range list {
			c.close()
		}
	}
	for _, p := range slices.Backward(r.procs) {
		p.stop()
	}
}

// connections returns n connections to a target, the same ones in each call.
func (r *rig) connections(t target, n int) []*client {
	list := r.clients[t.name()]
	for len(list) < n {
		list = append(list, newClient(t.address()))
	}
	r.clients[t.name()] = list
	return list[:n]
}
