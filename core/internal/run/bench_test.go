package run_test

import (
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

// BenchmarkTurn is what the engine and SQLite cost a turn of 20 tokens, without plugins' processes
// and without HTTP.
func BenchmarkTurn(b *testing.B) {
	words := make([]string, 20)
	for i := range words {
		words[i] = "word "
	}
	w := newWorld(b)
	w.plugins.set(loop(chat), say(words...))
	s := w.start()
	var n atomic.Int64
	b.ReportAllocs()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r, err := s.StartTurn(b.Context(), w.viewer, core.Turn{
				Agent: w.agent, SessionID: "s" + strconv.FormatInt(n.Add(1), 10), Parts: []sdk.Part{{Text: "hi"}}, Stream: true,
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
