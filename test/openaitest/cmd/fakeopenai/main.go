// Command fakeopenai runs the server of openaitest as a separate process, for benchmarks
// and for trying things by hand. It prints its base URL as one line.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/agentarea/agentarea/test/openaitest"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "fakeopenai:", err)
		os.Exit(1)
	}
}

func run() error {
	var opts openaitest.Options
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	models := flag.String("models", "", "models to serve, with commas between them")
	flag.IntVar(&opts.Tokens, "tokens", 50,
		"tokens of an answer; 0 checks requests as OpenAI does and answers with a sentence")
	flag.DurationVar(&opts.Delay, "delay", 0, "time before each token")
	flag.StringVar(&opts.Key, "key", "", "API key that requests must carry; empty takes any")
	flag.Parse()
	if *models != "" {
		opts.Models = strings.Split(*models, ",")
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	server := openaitest.New(opts)
	url, err := server.Start(*listen)
	if err != nil {
		return err
	}
	fmt.Println(url)
	<-ctx.Done()
	return server.Close()
}
