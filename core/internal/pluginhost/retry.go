package pluginhost

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/llm"
)

const (
	// firstRetry is the delay before the first retry of a completion. It doubles.
	firstRetry = 500 * time.Millisecond
	// maxRetryDelay limits the doubling.
	maxRetryDelay = 24 * time.Hour
	// retryJitter varies the delay by 25%, so that clients that failed together do
	// not retry together.
	retryJitter = 0.25
	// longestRetry is the longest delay that a provider may request. Longer delays
	// are left to the caller.
	longestRetry = 30 * time.Second
)

// Chat implements llm.Provider. It retries a completion that failed with a retryable
// error, up to the number of retries in the plugin's block, as long as no part of the
// answer was delivered. It does not retry after a crash; the caller decides about that.
func (p *provider) Chat(ctx context.Context, req *llm.Request, out llm.Stream) (*llm.Finish, error) {
	delivery := &delivery{out: out}
	delays := backoff.ExponentialBackOff{
		InitialInterval: firstRetry, MaxInterval: maxRetryDelay, Multiplier: 2, RandomizationFactor: retryJitter,
	}
	for try := 0; ; try++ {
		finish, err := p.chat(ctx, req, delivery)
		wait, again := p.retryDelay(&delays, try, err)
		if !again || delivery.started || !sleep(ctx, wait) {
			return finish, err
		}
		p.host.metrics.CompletionRetried(p.to.plugin.block.Label)
		p.to.plugin.logger.WarnContext(ctx, "retrying completion", "error", err, "waited", wait, "run_id", req.RunID)
	}
}

// retryDelay reports whether to retry after err and how long to wait before.
func (p *provider) retryDelay(delays *backoff.ExponentialBackOff, try int, err error) (time.Duration, bool) {
	var e *sdk.Error
	if !errors.As(err, &e) || !e.Retryable || e.Code == sdk.CodePluginCrashed {
		return 0, false
	}
	if try >= p.to.plugin.block.Retries || e.RetryAfter > longestRetry {
		return 0, false
	}
	return max(delays.NextBackOff(), e.RetryAfter), true
}

// sleep waits. It returns false if ctx ended before.
func sleep(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// delivery forwards an answer and records whether it has started.
type delivery struct {
	out     llm.Stream
	started bool
}

// Send implements llm.Stream.
func (d *delivery) Send(delta llm.Delta) error {
	d.started = true
	return d.out.Send(delta)
}

// SendBatch implements llm.BatchStream.
func (d *delivery) SendBatch(deltas []llm.Delta) error {
	d.started = true
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

// acquireSlot waits until a completion may start according to max_concurrency. The
// caller must call releaseSlot after a nil result.
func (i *instance) acquireSlot(ctx context.Context) error {
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

func (i *instance) releaseSlot() {
	if i.completions != nil {
		<-i.completions
	}
}
