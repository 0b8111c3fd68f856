package agent_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

// BenchmarkCall measures the round trip of a host call, with n concurrent calls.
func BenchmarkCall(b *testing.B) {
	for _, n := range []int{1, 8} {
		b.Run(fmt.Sprintf("%d concurrent", n), func(b *testing.B) {
			c := reach(b, func(ctx context.Context, run *agent.Run, host agent.Host) (*sdk.Message, error) {
				calls := make([]sdk.ToolCall, n)
				for range (int(run.Seed) + n - 1) / n {
					if _, err := host.CallTools(ctx, calls); err != nil {
						return nil, err
					}
				}
				return say(""), nil
			})
			result := toolResult("r")
			b.ReportAllocs()
			b.ResetTimer()
			_, err := c.Run(b.Context(), &agent.Run{Seed: uint64(b.N)},
				handler(func(context.Context, *agent.Call) (*agent.Result, error) {
					return result, nil
				}))
			if err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkRun measures a run with one completion.
func BenchmarkRun(b *testing.B) {
	c := reach(b, func(ctx context.Context, run *agent.Run, host agent.Host) (*sdk.Message, error) {
		_, err := host.Complete(ctx, &agent.Completion{Messages: append(run.History, run.Input), Final: true})
		return nil, err
	})
	run := &agent.Run{ID: "run-1", Input: sdk.Text(sdk.RoleUser, "Hello?")}
	for range 10 {
		run.History = append(run.History, sdk.Text(sdk.RoleUser, "Hello?"), sdk.Text(sdk.RoleAssistant, "Hello there!"))
	}
	b.ReportAllocs()
	for b.Loop() {
		_, err := c.Run(b.Context(), run, handler(func(context.Context, *agent.Call) (*agent.Result, error) {
			return &agent.Result{Answer: &agent.Answer{}}, nil
		}))
		if err != nil {
			b.Fatal(err)
		}
	}
}
