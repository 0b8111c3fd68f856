// Command faulty is a provider, or with KIND=agent an agent type, or with KIND=mcp a transport, with the fault that FAULT
// names. Without FAULT it is correct.
package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"time"

	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
	"github.com/agentarea/agentarea/sdk/llm"
	"github.com/agentarea/agentarea/sdk/mcptransport"
	"github.com/agentarea/agentarea/sdk/plugin"
	llmv1 "github.com/agentarea/agentarea/sdk/proto/llm/v1"
)

var fault = os.Getenv("FAULT")

type config struct {
	Size int `config:"size" default:"1"`
}

type faulty struct{ config config }

func main() {
	f := &faulty{}
	info := sdk.Info{Name: "faulty", Version: "1.0.0", Config: &f.config}
	switch fault {
	case "describe":
		info.Version = fmt.Sprint("1.0.", rand.Int())
	case "child":
		c := exec.Command("sleep", "60")
		if err := c.Start(); err != nil {
			panic(err)
		}
	case "deaf":
		os.Stdin = nil
		r, _, err := os.Pipe()
		if err != nil {
			panic(err)
		}
		os.Stdin = r
	case "starts":
		info.Capabilities = []string{mcptransport.CapabilityProcess}
	case "late":
		time.Sleep(time.Minute)
	}
	switch os.Getenv("KIND") {
	case agent.Kind:
		agent.Serve(info, &loop{f})
	case mcptransport.Kind:
		mcptransport.Serve(info, &transport{f})
	default:
		if r := rawAnswer(); r != nil {
			plugin.Serve(llm.Kind, info, f, func(s *grpc.Server) { llmv1.RegisterLLMServiceServer(s, r) })
			return
		}
		llm.Serve(info, f)
	}
}

func (f *faulty) Configure(ctx context.Context, _ sdk.Env) error {
	if fault == "late-configure" {
		<-ctx.Done()
	}
	if fault == "refusal" && f.config.Size < 0 {
		return errors.New("no")
	}
	if f.config.Size < 0 {
		return &sdk.ConfigError{Path: []string{"size"}, Summary: "must not be negative"}
	}
	return nil
}

func (f *faulty) Stop(context.Context) error {
	if fault == "stop" {
		time.Sleep(time.Minute)
	}
	return nil
}

// opened keeps files from being closed by the garbage collector.
var opened []*os.File

// leak leaves a goroutine or an open file behind if FAULT requires it.
func leak() {
	switch fault {
	case "leak":
		go func() { select {} }()
	case "open":
		f, err := os.Open(os.DevNull)
		if err != nil {
			panic(err)
		}
		opened = append(opened, f)
	}
}
