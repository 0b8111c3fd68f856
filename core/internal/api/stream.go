package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/agentarea/agentarea/core"
)

// writeTimeout is how long a client may take to read what was written.
const writeTimeout = time.Minute

// maxKept is how large a frame's buffer may be to be used again.
const maxKept = 64 << 10

// frames are the buffers that answers are put together in.
var frames = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func putBack(buf *bytes.Buffer) {
	if buf.Cap() <= maxKept {
		buf.Reset()
		frames.Put(buf)
	}
}

// whole answers by one JSON body where an operation may stream as well: Huma
// knows one kind of body an operation.
func whole(body any) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		_, w := humachi.Unwrap(ctx)
		// A turn may outlast the server's own limit on writing.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
		w.Header().Set("Content-Type", "application/json")
		if err := encode(w, body); err != nil {
			panic(err) // observe answers for it; what was stored is no JSON
		}
	}}
}

// stream sends a run's events until the run has ended, the client goes away, or
// its login ends.
func (a *api) stream(ctx context.Context, events core.EventStream) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(hctx huma.Context) {
		r, w := humachi.Unwrap(hctx)
		h := w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("X-Accel-Buffering", "no")
		w.WriteHeader(http.StatusOK)
		if r.Method == http.MethodHead {
			return
		}
		defer a.observer.Stream("sse")()
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		s := &sender{api: a, req: requestOf(ctx), w: w, control: http.NewResponseController(w), ctx: ctx, cancel: cancel}
		s.run(events)
	}}
}

// sender writes one stream. A timer looks after it between events: it sends
// heartbeats, and ends the stream when the login has ended.
type sender struct {
	api     *api
	req     *request
	control *http.ResponseController
	ctx     context.Context //nolint:containedctx // the stream's, which its timer ends
	cancel  context.CancelCauseFunc

	mu     sync.Mutex
	w      io.Writer
	wrote  time.Time
	closed bool
	timer  *time.Timer
}

func (s *sender) run(events core.EventStream) {
	s.extend()
	s.wrote = time.Now()
	if s.control.Flush() != nil {
		return
	}
	s.mu.Lock()
	s.timer = time.AfterFunc(s.api.recheck, s.tend)
	s.mu.Unlock()
	defer s.close()
	for {
		batch, err := events.Next(s.ctx)
		if err != nil {
			s.end(err)
			return
		}
		if s.send(batch) != nil {
			return
		}
	}
}

// close keeps the timer from writing when the handler has returned.
func (s *sender) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.timer.Stop()
}

// send writes a batch at once.
func (s *sender) send(batch []core.Event) error {
	buf, _ := frames.Get().(*bytes.Buffer)
	defer putBack(buf)
	for i := range batch {
		frame(buf, &batch[i])
	}
	return s.write(buf.Bytes())
}

func frame(buf *bytes.Buffer, e *core.Event) {
	if e.Seq > 0 {
		buf.WriteString("id: ")
		buf.Write(strconv.AppendInt(buf.AvailableBuffer(), e.Seq, 10))
		buf.WriteByte('\n')
	}
	buf.WriteString("data: ")
	if bytes.IndexByte(e.Data, '\n') < 0 {
		buf.Write(e.Data)
	} else {
		_ = json.Compact(buf, e.Data) // a line break would end the data
	}
	buf.WriteString("\n\n")
}

func (s *sender) write(b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrote = time.Now()
	if _, err := s.w.Write(b); err != nil {
		return err
	}
	return s.control.Flush()
}

// extend gives the client time to read. Test writers have no deadline.
func (s *sender) extend() { _ = s.control.SetWriteDeadline(time.Now().Add(writeTimeout)) }

// tend is what the timer does.
func (s *sender) tend() {
	err := s.api.stillAs(s.ctx, s.req.principal)
	if core.CodeOf(err) == core.CodeUnauthorized {
		s.cancel(err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.extend()
	if time.Since(s.wrote) >= s.api.heartbeat {
		s.wrote = time.Now()
		_, err := io.WriteString(s.w, ": still here\n\n")
		if err := errors.Join(err, s.control.Flush()); err != nil {
			s.cancel(err)
			return
		}
	}
	s.timer.Reset(s.api.recheck)
}

// end says why a stream ends before its run, if somebody still listens.
func (s *sender) end(err error) {
	if errors.Is(err, io.EOF) {
		return
	}
	if cause := context.Cause(s.ctx); cause != nil {
		if errors.Is(cause, context.Canceled) {
			return // the client went away
		}
		err = cause
	}
	e := reply(err, s.req.id)
	s.req.err = e
	data, err := json.Marshal(struct {
		Type  string  `json:"type"`
		Error failure `json:"error"`
	}{"error", e.Failure})
	if err == nil {
		_ = s.send([]core.Event{{Data: data}}) // without an id, so that the client can go on where it was
	}
}
