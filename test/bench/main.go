// Command bench measures the built server, and compares it with direct calls of the same upstream and
// with a plain reverse proxy. Everything runs on this machine and on loopback. The figures are not
// tested. Their ratios are more reliable than their values.
//
// The upstream, the proxy and the server are separate processes, and this process creates the load.
// Comparisons are interleaved, so that a machine that becomes slower affects every target.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// settings are the values of the flags.
type settings struct {
	server, versitygw, everything, npm string
	targets                            []string
	quick                              bool
	sessions                           int
	// tokens is the length of an answer in measurements that do not vary it.
	tokens int
	// dir is a folder for temporary files of the whole run.
	dir string
}

// scaled returns n, or a fifth of it in a quick run.
func (s *settings) scaled(n int) int {
	if s.quick {
		return max(n/5, 1)
	}
	return n
}

// part is a part of the report, with one or more tables.
type part struct {
	name  string
	limit time.Duration
	run   func(ctx context.Context, s *settings) error
}

var parts = []part{
	{"latency", 10 * time.Minute, latency},
	{"streams", 10 * time.Minute, streams},
	{"cpu", 10 * time.Minute, cpu},
	{"memory", 5 * time.Minute, memory},
	{"files", 10 * time.Minute, files},
	{"mcp", 10 * time.Minute, mcp},
	{"tasks", 10 * time.Minute, tasks},
	{"websockets", 10 * time.Minute, websockets},
	{"plugins", 10 * time.Minute, plugins},
	{"growth", 60 * time.Minute, growth},
}

func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "proxy":
			fail(serveProxy(os.Args[2:]))
			return
		case asPeer:
			fail(servePeer(os.Args[2]))
			return
		case asLLM, asAgent:
			servePlugin(os.Args[1])
			return
		}
	}
	s := &settings{}
	only := flag.String("only", "",
		"parts to run, with commas: latency,streams,cpu,memory,files,mcp,tasks,websockets,plugins,growth")
	targets := flag.String("targets", "direct,proxy,server", "what to measure")
	flag.StringVar(&s.server, "server", "bin/agentarea", "the built server, with its plugins beside it")
	flag.StringVar(&s.versitygw, "versitygw", "versitygw", "the S3 server for the files part")
	flag.StringVar(&s.everything, "everything", "everything-server", "go-sdk's conformance server for the mcp part")
	flag.StringVar(&s.npm, "npm", "", "the folder with test/mcptest's npm packages for the mcp part")
	flag.BoolVar(&s.quick, "quick", false, "a fifth of the work")
	flag.IntVar(&s.sessions, "sessions", 20000, "new sessions in the growth part")
	flag.IntVar(&s.tokens, "tokens", 16, "tokens of an answer in latency, cpu and growth")
	flag.Parse()
	s.targets = strings.Split(*targets, ",")
	fail(run(s, *only))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(s *settings, only string) error {
	chosen := parts
	if only != "" {
		chosen = nil
		for name := range strings.SplitSeq(only, ",") {
			i := slices.IndexFunc(parts, func(p part) bool { return p.name == name })
			if i < 0 {
				return fmt.Errorf("-only: unknown part %q", name)
			}
			chosen = append(chosen, parts[i])
		}
	}
	for _, t := range s.targets {
		if t != "direct" && t != "proxy" && t != "server" {
			return fmt.Errorf("-targets: unknown target %q", t)
		}
	}
	dir, err := os.MkdirTemp("", "agentarea-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s.dir = dir

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	describeMachine()
	var failed []string
	for _, p := range chosen {
		limited, cancel := context.WithTimeout(ctx, p.limit)
		err := p.run(limited, s)
		cancel()
		if err != nil {
			fmt.Fprintf(os.Stderr, "bench: %s: %v\n", p.name, err)
			failed = append(failed, p.name)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("these parts failed: %s", strings.Join(failed, ", "))
	}
	return nil
}
