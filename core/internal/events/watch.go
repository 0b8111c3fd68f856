package events

import (
	"context"
	"io"
	"time"

	"github.com/agentarea/agentarea/core"
)

// pollInterval is the interval at which a watcher reads the events of a run that another server
// executes.
const pollInterval = 500 * time.Millisecond

// Watch returns the events of a run whose numbers are above after, for a user. ended reports whether the
// run has ended; it is called while this server does not execute the run.
func (l *Log) Watch(
	runID, userID string, after int64, ended func(context.Context) (bool, error),
) core.EventStream {
	return &watcher{log: l, runID: runID, userID: userID, position: after, runEnded: ended}
}

type watcher struct {
	log           *Log
	runID, userID string
	// position is the number of the last returned event.
	position int64
	runEnded func(context.Context) (bool, error)
	// stream is the live stream, from when it is found until it is dropped.
	stream *Stream
	ended  bool
}

// Next implements core.EventStream.
func (w *watcher) Next(ctx context.Context) ([]core.Event, error) {
	for !w.ended {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		next := w.nextLive
		opened := w.attach()
		if w.stream == nil {
			next = func(ctx context.Context) ([]core.Event, error) { return w.nextRemote(ctx, opened) }
		}
		if events, err := next(ctx); len(events) > 0 || err != nil {
			return events, err
		}
	}
	return nil, io.EOF
}

// attach looks for the live stream unless the watcher has it. The returned channel is
// closed when the next stream is opened.
func (w *watcher) attach() (opened <-chan struct{}) {
	if w.stream == nil {
		w.stream, opened = w.log.stream(w.runID)
	}
	return opened
}

// nextLive returns the next events of the live stream. It waits if there are none yet.
func (w *watcher) nextLive(ctx context.Context) ([]core.Event, error) {
	v := w.stream.view(w.position)
	if v.changed != nil {
		select {
		case <-v.changed:
		case <-ctx.Done():
			return nil, nil
		}
		v = w.stream.view(w.position)
	}
	switch {
	case v.behind:
		events, err := w.nextStored(ctx)
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

// nextRemote returns the next stored events of a run that another server executes. If there
// are none, it waits for pollInterval or until opened is closed.
func (w *watcher) nextRemote(ctx context.Context, opened <-chan struct{}) ([]core.Event, error) {
	// The check comes before the read, so that the read includes the last event.
	ended, err := w.runEnded(ctx)
	if err != nil {
		return nil, err
	}
	events, err := w.nextStored(ctx)
	if len(events) > 0 || err != nil {
		return events, err
	}
	if ended {
		w.ended = true
		return nil, nil
	}
	timer := time.NewTimer(pollInterval)
	defer timer.Stop()
	select {
	case <-opened:
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil, nil
}

// nextStored returns the next page of stored events.
func (w *watcher) nextStored(ctx context.Context) ([]core.Event, error) {
	leave, err := w.log.reads.Enter(ctx, w.userID)
	if err != nil {
		return nil, err
	}
	defer leave()
	rows, err := w.log.store.Events(ctx, w.runID, w.position, pageSize)
	if err != nil {
		return nil, err
	}
	var out []core.Event
	for _, row := range rows {
		events, err := rowEvents(row, w.position)
		if err != nil {
			return nil, err
		}
		out = append(out, events...)
		w.position = max(w.position, row.Last)
		w.ended = w.ended || isLast(row.Type)
	}
	return out, nil
}
