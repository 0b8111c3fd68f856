package run

import (
	"strings"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/events"
)

// output shows the text of a run to its watchers until the run is settled. Its methods may
// be called concurrently.
type output struct {
	stream  *events.Stream
	metrics Metrics
	kind    core.RunKind
	start   time.Time

	mu sync.Mutex
	// partial is the text that was shown since the last recorded call.
	partial strings.Builder
	// chunks is the number of texts that were shown since the last recorded call, and cut the number of those of
	// completions that were not recorded as answers.
	chunks, cut int64
	// model is the model of the newest completion.
	model string
	// started reports whether any text was shown.
	started bool
	// settled is set by the caller that ends or abandons the run.
	settled bool
}

// Forward implements hostcall.Output.
func (o *output) Forward(texts []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.settled {
		return
	}
	if !o.started {
		o.started = true
		o.metrics.FirstToken(o.kind, time.Since(o.start))
	}
	for _, text := range texts {
		o.partial.WriteString(text)
	}
	o.chunks += int64(len(texts))
	o.stream.Tokens(texts)
}

// Asking implements hostcall.Output.
func (o *output) Asking(model string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.model = model
}

// unrecorded returns the model of the newest completion, and the number of the chunks of completions whose usage is
// not known, because they were cut.
func (o *output) unrecorded() (model string, chunks int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.model, o.cut + o.chunks
}

// show shows the answer of a run whose agent type has forwarded nothing, so that its stream has the text, too.
func (o *output) show(answer string) {
	o.mu.Lock()
	started := o.started
	o.mu.Unlock()
	if !started && answer != "" {
		o.Forward([]string{answer})
	}
}

// settle stops the output. It returns true for the first caller only, which then ends or
// abandons the run.
func (o *output) settle() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	first := !o.settled
	o.settled = true
	return first
}

func (o *output) isSettled() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.settled
}

// partialText returns the text that was shown since the last recorded call.
func (o *output) partialText() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.partial.String()
}

// resetPartial forgets the text shown so far, because it is recorded or void. answered reports whether it is recorded
// with its usage.
func (o *output) resetPartial(answered bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.partial.Reset()
	if !answered {
		o.cut += o.chunks
	}
	o.chunks = 0
}
