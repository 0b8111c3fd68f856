package run_test

import (
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

// BenchmarkTurn measures a turn of 20 tokens in the engine and SQLite, without plugin processes
// and HTTP.
func BenchmarkTurn(b *testing.B) {
	words := make([]string, 20)
	for i := range words {
		words[i] = "word "
	}
	env := newEnv(b)
	env.plugins.set(loop(chat), say(words...))
	s := env.start()
	var n atomic.Int64
	b.ReportAllocs()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r, err := s.StartTurn(b.Context(), nil, env.actor, core.Turn{
				Agent: env.agent, SessionID: "s" + strconv.FormatInt(n.Add(1), 10), Parts: []sdk.Part{{Text: "hi"}}, Stream: true,
			})
			if err == nil {
				_, err = s.Wait(b.Context(), r)
			}
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
}
