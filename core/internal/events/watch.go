package events

import (
	"context"
	"io"
	"time"

	"github.com/agentarea/agentarea/core"
)

// pollEvery is how often the database is asked about a run that is under way
// but not here.
const pollEvery = 500 * time.Millisecond

// Watch gives the events of a run with numbers above after. over says whether
// the run has ended; it is asked when the run is not executed here.
func (l *Log) Watch(runID string, after int64, over func(context.Context) (bool, error)) core.EventStream {
	return &watcher{log: l, runID: runID, position: after, over: over}
}

type watcher struct {
	log      *Log
	runID    string
	position int64
	over     func(context.Context) (bool, error)
	// stream is the live one, once it was found and until it is dropped.
	stream *Stream
	ended  bool
}

// Next waits for events and gives all that are there.
func (w *watcher) Next(ctx context.Context) ([]core.Event, error) {
	for !w.ended {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		next := w.live
		opened := w.attach()
		if w.stream == nil {
			next = func(ctx context.Context) ([]core.Event, error) { return w.remote(ctx, opened) }
		}
		if events, err := next(ctx); len(events) > 0 || err != nil {
			return events, err
		}
	}
	return nil, io.EOF
}

// attach looks for the live stream. The channel is closed when one is opened.
func (w *watcher) attach() (opened <-chan struct{}) {
	if w.stream == nil {
		w.stream, opened = w.log.stream(w.runID)
	}
	return opened
}

// live gives what the stream has, or waits for something to happen in it.
func (w *watcher) live(ctx context.Context) ([]core.Event, error) {
	v := w.stream.view(w.position)
	if v.wait != nil {
		select {
		case <-v.wait:
		case <-ctx.Done():
			return nil, nil
		}
		v = w.stream.view(w.position)
	}
	switch {
	case v.behind:
		events, err := w.stored(ctx)
		if len(events) == 0 && err == nil {
			w.position = v.first - 1
		}
		return events, err
	case len(v.events) > 0:
		w.position = v.events[len(v.events)-1].Seq
	case v.dropped:
		w.stream = nil
	}
	w.ended = v.ended
	return v.events, nil
}

// remote gives what the database has of a run that is not executed here, or
// waits a little.
func (w *watcher) remote(ctx context.Context, opened <-chan struct{}) ([]core.Event, error) {
	over, err := w.over(ctx)
	if err != nil {
		return nil, err
	}
	events, err := w.stored(ctx)
	if len(events) > 0 || err != nil {
		return events, err
	}
	if over {
		w.ended = true
		return nil, nil
	}
	timer := time.NewTimer(pollEvery)
	defer timer.Stop()
	select {
	case <-opened:
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil, nil
}

// stored gives the next page of what the database holds.
func (w *watcher) stored(ctx context.Context) ([]core.Event, error) {
	rows, err := w.log.store.Events(ctx, w.runID, w.position, pageSize)
	if err != nil {
		return nil, err
	}
	var out []core.Event
	for _, row := range rows {
		events, err := expand(row, w.position)
		if err != nil {
			return nil, err
		}
		out = append(out, events...)
		w.position = max(w.position, row.Last)
		w.ended = w.ended || last(row.Type)
	}
	return out, nil
}
