package pluginhost

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
)

const (
	// firstRetry is the wait before the first retry of a completion; it doubles.
	firstRetry = 500 * time.Millisecond
	// longestRetry is the most that a provider may ask to wait for a retry here: a
	// longer wait is the caller's to decide.
	longestRetry = 30 * time.Second
)

// Chat implements llm.Provider. A completion that failed, and may succeed later,
// is asked again as often as its stanza's retries say, unless something of it was
// delivered already. A crash is the caller's to judge.
func (p *provider) Chat(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
	delivery := &delivery{out: out}
	for try := 0; ; try++ {
		finish, err := p.chat(ctx, req, delivery)
		wait, again := p.retry(try, err)
		if !again || delivery.begun || !rest(ctx, wait) {
			return finish, err
		}
		p.host.metrics.CompletionRetried(p.to.plugin.stanza.Label)
		p.to.plugin.logger.WarnContext(ctx, "a completion is asked again", "error", err, "waited", wait, "run_id", req.RunID)
	}
}

// retry says whether there is another try after one that ended with err, and when.
func (p *provider) retry(try int, err error) (time.Duration, bool) {
	var e *sdk.Error
	if !errors.As(err, &e) || !e.Retryable || e.Code == sdk.CodePluginCrashed {
		return 0, false
	}
	if try >= p.to.plugin.stanza.Retries || e.RetryAfter > longestRetry {
		return 0, false
	}
	// A quarter less or more, so that those who failed together do not come back together.
	wait := time.Duration(float64(firstRetry<<try) * (0.75 + rand.Float64()/2)) //nolint:gosec // no secret
	return max(wait, e.RetryAfter), true
}

// rest waits; false when ctx has ended before.
func rest(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// delivery passes an answer on and knows whether it has begun.
type delivery struct {
	out   llm.Stream
	begun bool
}

// Send implements llm.Stream.
func (d *delivery) Send(delta llm.Delta) error {
	d.begun = true
	return d.out.Send(delta)
}

// SendBatch implements llm.BatchStream.
func (d *delivery) SendBatch(deltas []llm.Delta) error {
	d.begun = true
	if batch, ok := d.out.(llm.BatchStream); ok {
		return batch.SendBatch(deltas)
	}
	for _, delta := range deltas {
		if err := d.out.Send(delta); err != nil {
			return err
		}
	}
	return nil
}

// room waits until a completion may begin, as max_concurrency has it. Whoever
// got room leaves in the end.
func (i *instance) room(ctx context.Context) error {
	if i.completions == nil {
		return nil
	}
	select {
	case i.completions <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (i *instance) leave() {
	if i.completions != nil {
		<-i.completions
	}
}
