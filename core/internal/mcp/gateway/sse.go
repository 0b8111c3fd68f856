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
	// ids are on the events that a client can resume from.
	ids bool
	// prime is an empty event at the start, with an id: a client that loses the
	// stream before its first message can come back too.
	prime bool
}

func (g *Gateway) eventWriter(w http.ResponseWriter) *eventWriter {
	return &eventWriter{w: w, control: http.NewResponseController(w), times: &g.times}
}

// serve writes the stream until it is over, the client goes away or ctx ends. It
// says whether the stream was written to its end.
func (e *eventWriter) serve(ctx context.Context, s *stream, from int) bool {
	reader, next := s.attach(from)
	defer s.detach(reader)
	beat := time.NewTimer(e.times.Heartbeat)
	defer beat.Stop()
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
			buf.WriteString("id: " + eventID(s.id, next) + "\nretry: " + retry + "\ndata: \n\n")
		}
	}
	patience := time.NewTimer(e.times.first)
	defer patience.Stop()
	for {
		b := s.take(reader, next)
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
		if b.over {
			s.take(reader, next)
			return true
		}
		if len(b.events) > 0 {
			continue
		}
		select {
		case <-b.wake:
		case <-ctx.Done():
			return false
		case <-patience.C:
			if started {
				continue
			}
			if start(); buf.Len() == 0 {
				buf.WriteString(": open\n\n")
			}
		case <-beat.C:
			buf.WriteString(": still here\n\n")
		}
		beat.Reset(e.times.Heartbeat)
	}
}

// retry is how many milliseconds a client waits before it comes back.
const retry = "1000"

func (e *eventWriter) frame(buf *bytes.Buffer, id string, data []byte) {
	if e.ids {
		buf.WriteString("id: ")
		buf.WriteString(id)
		buf.WriteByte('\n')
	}
	buf.WriteString("event: message\ndata: ")
	buf.Write(data) // compact: without line breaks
	buf.WriteString("\n\n")
}

func (e *eventWriter) flush(buf *bytes.Buffer) error {
	// Writers of tests have no deadline.
	_ = e.control.SetWriteDeadline(time.Now().Add(e.times.Write))
	defer buf.Reset()
	if _, err := e.w.Write(buf.Bytes()); err != nil {
		return err
	}
	return e.control.Flush()
}

// writeJSON answers with one message.
func writeJSON(w http.ResponseWriter, status int, message []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(message)))
	w.WriteHeader(status)
	_, _ = io.Copy(w, bytes.NewReader(message)) // the client may be gone
}
