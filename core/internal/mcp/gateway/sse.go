package gateway

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"
	"time"
)

// eventWriter writes a stream to an HTTP response as server-sent events.
type eventWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	times   *Times
	// ids is true if events have IDs, so that a client can resume.
	ids bool
	// prime adds an empty event with an ID at the start, so that a client that loses the stream
	// before its first message can resume too.
	prime bool
}

// eventWriter returns an eventWriter without event IDs.
func (g *Gateway) eventWriter(w http.ResponseWriter) *eventWriter {
	return &eventWriter{w: w, control: http.NewResponseController(w), times: &g.times}
}

// serve writes the stream from event number from on, until the stream ends, the client
// disconnects or ctx ends. A negative number continues where the last reader stopped. It
// reports whether the whole stream was written.
func (e *eventWriter) serve(ctx context.Context, s *stream, from int) bool {
	reader, next := s.attach(from)
	defer s.detach(reader)
	heartbeat := time.NewTimer(e.times.Heartbeat)
	defer heartbeat.Stop()
	var buf bytes.Buffer
	started := false
	start := func() {
		h := e.w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("Cache-Control", "no-cache, no-transform")
		h.Set("X-Accel-Buffering", "no")
		e.w.WriteHeader(http.StatusOK)
		started = true
		if e.prime {
			buf.WriteString("id: " + eventID(s.id, next) + "\nretry: " + retryMillis + "\ndata: \n\n")
		}
	}
	firstWait := time.NewTimer(e.times.firstMessage)
	defer firstWait.Stop()
	for {
		b := s.readFrom(reader, next)
		if b.lost {
			return false
		}
		if len(b.events) > 0 && !started {
			start()
		}
		for i, data := range b.events {
			e.frame(&buf, eventID(s.id, next+i+1), data)
		}
		if buf.Len() > 0 && e.flush(&buf) != nil {
			return false
		}
		next = b.next
		if b.done {
			s.readFrom(reader, next)
			return true
		}
		if len(b.events) > 0 {
			continue
		}
		select {
		case <-b.wake:
		case <-ctx.Done():
			return false
		case <-firstWait.C:
			if started {
				continue
			}
			if start(); buf.Len() == 0 {
				buf.WriteString(": open\n\n")
			}
		case <-heartbeat.C:
			buf.WriteString(": still here\n\n")
		}
		heartbeat.Reset(e.times.Heartbeat)
	}
}

// retryMillis is the number of milliseconds that a client waits before it reconnects.
const retryMillis = "1000"

// frame appends one event to buf. data has no line breaks because it is compact JSON.
func (e *eventWriter) frame(buf *bytes.Buffer, id string, data []byte) {
	if e.ids {
		buf.WriteString("id: ")
		buf.WriteString(id)
		buf.WriteByte('\n')
	}
	buf.WriteString("event: message\ndata: ")
	buf.Write(data)
	buf.WriteString("\n\n")
}

// flush writes buf to the client and empties it.
func (e *eventWriter) flush(buf *bytes.Buffer) error {
	// Response writers in tests support no deadline.
	_ = e.control.SetWriteDeadline(time.Now().Add(e.times.Write))
	defer buf.Reset()
	if _, err := e.w.Write(buf.Bytes()); err != nil {
		return err
	}
	return e.control.Flush()
}

// writeJSON writes a response with one JSON message.
func writeJSON(w http.ResponseWriter, status int, message []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(message)))
	w.WriteHeader(status)
	_, _ = io.Copy(w, bytes.NewReader(message)) // the client may have disconnected
}
