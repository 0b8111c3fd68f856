// Command badplugin is an llm plugin that misbehaves according to its config and to BAD in
// its environment. With BAD=agent, files or mcp it is a plugin of that kind. The part of BAD
// after a colon is the config schema of the agent type, the error of the file backend, or the
// capability of the transport.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
	"github.com/agentarea/agentarea/sdk/files"
	"github.com/agentarea/agentarea/sdk/llm"
	"github.com/agentarea/agentarea/sdk/mcptransport"
)

type config struct {
	Refuse string `config:"refuse"`
	Secret string `config:"secret,secret"`
	Limit  int    `config:"limit" default:"7"`
}

type bad struct {
	config config
	sick   bool
	// refused is the path of a file. While it exists, ListModels fails because of the key.
	refused string
	// unreachable lets ListModels fail because of the network.
	unreachable bool
	// tries counts completions of flaky models. atOnce and most count concurrent
	// completions of the model gauge.
	tries        atomic.Int64
	atOnce, most atomic.Int64
}

func main() {
	mode, argument, _ := strings.Cut(os.Getenv("BAD"), ":")
	note("start")
	switch mode {
	case "stdout":
		fmt.Println("hello, I am a plugin")
	case "garbage":
		w := bufio.NewWriter(os.Stdout)
		for range 100 << 10 {
			fmt.Fprintln(w, strings.Repeat("x", 1023))
		}
		w.Flush()
		select {}
	case "exit":
		fmt.Fprintln(os.Stderr, "no luck today")
		os.Exit(3)
	case "exit-while":
		// It does not start while that file exists.
		if _, err := os.Stat(argument); err == nil {
			os.Exit(3)
		}
	case "exit-once":
		if _, err := os.Stat(argument); err != nil {
			if err := os.WriteFile(argument, nil, 0o600); err != nil {
				panic(err)
			}
			os.Exit(4)
		}
	case "exit-after":
		d, err := time.ParseDuration(argument)
		if err != nil {
			panic(err)
		}
		time.AfterFunc(d, func() { os.Exit(5) })
	case "freeze-at-start":
		freeze()
	case "grandchild":
		grandchild(false)
	case "escaped-grandchild":
		grandchild(true)
	case "flood":
		flood()
	case "deaf":
		// It ignores the end of stdin.
		os.Stdin = nil
	}
	b := &bad{sick: mode == "sick", unreachable: mode == "unreachable"}
	if mode == "refused-while" {
		b.refused = argument
	}
	info := sdk.Info{Name: "badplugin", Version: "1.2.3", Description: "Misbehaves.", Config: &b.config}
	if mode == "wire" {
		serveBadReplies(info)
		return
	}
	if mode == "agent" {
		agent.Serve(info, agentType{schema: argument})
		return
	}
	if mode == "files" {
		files.Serve(info, &store{bad: b, failure: argument})
		return
	}
	if mode == "mcp" {
		if argument != "" {
			info.Capabilities = []string{argument}
		}
		mcptransport.Serve(info, mirrors{})
		return
	}
	llm.Serve(info, b)
}

// note appends a line with the process ID to the file that the test reads.
func note(text string) {
	path := os.Getenv("BAD_NOTES")
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	fmt.Fprintln(f, text, os.Getpid())
	f.Close()
}

// freeze stops the process with SIGSTOP, which may take a moment.
func freeze() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	time.Sleep(time.Hour)
}

// grandchild starts a process that keeps stdout and stderr open.
func grandchild(escape bool) {
	c := exec.Command("sleep", "1000")
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: escape}
	if err := c.Start(); err != nil {
		panic(err)
	}
	note("grandchild " + strconv.Itoa(c.Process.Pid) + " of")
}

func flood() {
	fmt.Fprintf(os.Stderr, `{"@level":"info","@message":%q,"@timestamp":"2026-01-02T03:04:05.000000Z"}`+"\n",
		strings.Repeat("a", 70<<10))
	fmt.Fprintln(os.Stderr, `{"@level":"info","@message":5,"run_id":{"odd":true}}`)
	w := bufio.NewWriter(os.Stderr)
	for i := range 20_000 {
		fmt.Fprintf(w, `{"@level":"debug","@message":"line","n":%d}`+"\n", i)
	}
	w.Flush()
	fmt.Fprintln(os.Stderr, strings.Repeat("b", 3<<20))
	fmt.Fprintln(os.Stderr, `{"@level":"warn","@message":"the last one","run_id":"run-1","msg":"own"}`)
}

func (b *bad) Configure(_ context.Context, env sdk.Env) error {
	slog.Info("configured", "secret", b.config.Secret, "data_dir", env.DataDir)
	switch b.config.Refuse {
	case "":
		return nil
	case "crash":
		os.Exit(6)
	case "freeze":
		freeze()
	}
	return &sdk.ConfigError{Path: []string{"refuse"}, Summary: "refused", Detail: "Take the line out"}
}

func (b *bad) Health(context.Context) error {
	if b.sick {
		return fmt.Errorf("I feel sick")
	}
	return nil
}

func (b *bad) ListModels(context.Context) ([]llm.Model, error) {
	note("list")
	if _, err := os.Stat(b.refused); b.refused != "" && err == nil {
		return nil, &sdk.Error{Code: sdk.CodeUnauthorized, Message: "the key " + b.config.Secret + " was refused"}
	}
	if b.unreachable {
		return nil, &sdk.Error{Code: sdk.CodeUnavailable, Message: "no route to host", Retryable: true}
	}
	return []llm.Model{{ID: "bad-1", ContextWindow: 100, Capabilities: []string{"tools"}}, {ID: "bad/2"}}, nil
}

// Chat sends MaxTokens deltas and then behaves according to the model's name.
func (b *bad) Chat(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
	var tokens int64
	if req.MaxTokens != nil {
		tokens = *req.MaxTokens
	}
	for i := range tokens {
		if err := out.Send(llm.Delta{Text: strconv.FormatInt(i, 10)}); err != nil {
			return nil, err
		}
	}
	if n := len(req.Messages); n > 0 && req.Messages[n-1].Text() == "die" {
		os.Exit(9)
	}
	switch req.Model {
	case "crash":
		time.Sleep(50 * time.Millisecond) // let the deltas arrive first
		slog.Error("about to crash", "error", b.config.Secret)
		panicHard()
	case "plain":
		return nil, errInternal
	case "plain-timeout":
		return nil, fmt.Errorf("%w: %w", errInternal, context.DeadlineExceeded)
	case "panic":
		panic(errInternal)
	case "freeze":
		freeze()
	case "wait":
		<-ctx.Done()
		return nil, ctx.Err()
	case "flaky":
		if b.tries.Add(1) <= 2 {
			return nil, &sdk.Error{Code: sdk.CodeUnavailable, Message: "come back later", Retryable: true}
		}
	case "hopeless":
		b.tries.Add(1)
		return nil, &sdk.Error{
			Code: sdk.CodeUnavailable, Message: fmt.Sprint("try ", b.tries.Load()),
			Retryable: true, RetryAfter: time.Millisecond,
		}
	case "next-hour":
		return nil, &sdk.Error{
			Code: sdk.CodeRateLimited, Message: fmt.Sprint("try ", b.tries.Add(1)), Retryable: true, RetryAfter: time.Hour,
		}
	case "refused":
		return nil, &sdk.Error{Code: sdk.CodeInvalidRequest, Message: fmt.Sprint("try ", b.tries.Add(1))}
	case "gauge":
		now := b.atOnce.Add(1)
		for most := b.most.Load(); now > most && !b.most.CompareAndSwap(most, now); most = b.most.Load() {
		}
		time.Sleep(20 * time.Millisecond)
		b.atOnce.Add(-1)
		return &llm.Finish{Reason: llm.FinishStop, Model: fmt.Sprint(b.most.Load())}, nil
	case "hog":
		memory := make([]byte, 100<<20)
		for i := range memory {
			memory[i] = 1
		}
		<-ctx.Done()
		runtime.KeepAlive(memory)
		return nil, ctx.Err()
	case "slow":
		time.Sleep(300 * time.Millisecond)
	case "env":
		for _, v := range os.Environ() {
			if err := out.Send(llm.Delta{Text: v + "\n"}); err != nil {
				return nil, err
			}
		}
	}
	return &llm.Finish{Reason: llm.FinishStop, Model: req.Model}, nil
}

// panicHard panics in a goroutine without recover.
func panicHard() {
	go func() { panic("out of cheese") }()
	select {}
}

type agentType struct{ schema string }

func (a agentType) Schema() json.RawMessage {
	if a.schema != "" {
		return json.RawMessage(a.schema)
	}
	return json.RawMessage(`{"type":"object"}`)
}

// errInternal is an error without a code. Its text is not for members.
var errInternal = errors.New("dial tcp 10.1.2.3:5432: connection refused; see /etc/badplugin/password")

// Run requests one completion and returns its error. The input "die" ends the process; "plain" and "panic" fail
// without a code.
func (agentType) Run(ctx context.Context, run *agent.Run, host agent.Host) (*sdk.Message, error) {
	if run.Input.Text() == "die" {
		os.Exit(9)
	}
	switch run.Input.Text() {
	case "plain":
		return nil, errInternal
	case "panic":
		panic(errInternal)
	}
	answer, err := host.Complete(ctx, &agent.Completion{Model: "m"})
	if err != nil {
		return nil, err
	}
	return &answer.Message, nil
}
