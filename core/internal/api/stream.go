package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/agentarea/agentarea/core"
)

// maxStreams is the default of Options.Streams.
const maxStreams = 100

// streamCounter counts the open event streams of each caller.
type streamCounter struct {
	max  int
	mu   sync.Mutex
	open map[string]int
}

// ReserveStream counts an event stream of the caller until the end of the request. It fails with RateLimited if
// the caller has too many. Stream calls it; a handler calls it earlier if it changes something before that.
func (a *API) ReserveStream(ctx context.Context) error {
	req := RequestFrom(ctx)
	if req.releaseStream != nil {
		return nil
	}
	c, caller := a.streams, callerKey(req)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[caller] >= c.max {
		return &core.Error{
			Code: core.CodeRateLimited, RetryAfter: 5 * time.Second,
			Message: fmt.Sprintf("Too many event streams: a user can have at most %d. Close one of them first.", c.max),
		}
	}
	c.open[caller]++
	req.releaseStream = func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.open[caller]--; c.open[caller] == 0 {
			delete(c.open, caller)
		}
	}
	return nil
}

// writeTimeout is the maximum time for a client to read the data that was written.
const writeTimeout = time.Minute

// JSONResponse answers with one JSON body where an operation can stream as well, because Huma allows
// one type of body per operation.
func JSONResponse(body any) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		_, w := humachi.Unwrap(ctx)
		// A turn may take longer than the server's own write timeout.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
		w.Header().Set("Content-Type", "application/json")
		if err := EncodeJSON(w, body); err != nil {
			panic(err) // the stored data is not JSON; requestLogger answers 500
		}
	}}
}

// Stream sends events as server-sent events until the stream of events ends, the client disconnects,
// or its credential ends. If events fail, the last event is an error.
func (a *API) Stream(ctx context.Context, events core.EventStream) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(hctx huma.Context) {
		r, w := humachi.Unwrap(hctx)
		if err := a.ReserveStream(ctx); err != nil {
			WriteError(w, r, err)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("X-Accel-Buffering", "no")
		w.WriteHeader(http.StatusOK)
		if r.Method == http.MethodHead {
			return
		}
		defer a.ObserveStream("sse")()
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		s := &streamWriter{
			api: a, req: RequestFrom(ctx), w: w, control: http.NewResponseController(w), ctx: ctx, cancel: cancel,
		}
		s.run(events)
	}}
}

// streamWriter writes one stream. Between events, a timer sends heartbeats, and ends the stream when
// its credential has ended.
type streamWriter struct {
	api     *API
	req     *Request
	control *http.ResponseController
	ctx     context.Context //nolint:containedctx // the stream's, which its timer cancels
	cancel  context.CancelCauseFunc

	mu        sync.Mutex
	w         io.Writer
	lastWrite time.Time
	closed    bool
	timer     *time.Timer
}

func (s *streamWriter) run(events core.EventStream) {
	s.extendDeadline()
	s.lastWrite = time.Now()
	if s.control.Flush() != nil {
		return
	}
	s.mu.Lock()
	s.timer = time.AfterFunc(s.api.recheck, s.tick)
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

// close stops the timer, which must not write after the handler has returned.
func (s *streamWriter) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.timer.Stop()
}

// send writes a batch of events and flushes once.
func (s *streamWriter) send(batch []core.Event) error {
	buf, _ := buffers.Get().(*bytes.Buffer)
	defer releaseBuffer(buf)
	for i := range batch {
		appendEvent(buf, &batch[i], s.req.ID)
	}
	return s.write(buf.Bytes())
}

// appendEvent appends an event in the format of server-sent events. The error event of a run gets the id of the request
// that reads it.
func appendEvent(buf *bytes.Buffer, e *core.Event, requestID string) {
	if e.Seq > 0 {
		buf.WriteString("id: ")
		buf.Write(strconv.AppendInt(buf.AvailableBuffer(), e.Seq, 10))
		buf.WriteByte('\n')
	}
	data := e.Data
	if bytes.HasPrefix(data, errorEventStart) {
		data = withRequestID(data, requestID)
	}
	buf.WriteString("data: ")
	if bytes.IndexByte(data, '\n') < 0 {
		buf.Write(data)
	} else {
		_ = json.Compact(buf, data) // a line break would end the data
	}
	buf.WriteString("\n\n")
}

// ErrorEvent is the last event of a stream that fails.
type ErrorEvent struct {
	Type string `json:"type"`
	// RunID is the run that failed, or empty if the stream itself failed.
	RunID string  `json:"run_id,omitempty"`
	Error Failure `json:"error"`
}

var errorEventStart = []byte(`{"type":"error"`)

// withRequestID returns the data of an error event with a request id, unless it has one.
func withRequestID(data []byte, requestID string) []byte {
	var e ErrorEvent
	if json.Unmarshal(data, &e) != nil || e.Error.RequestID != "" {
		return data
	}
	e.Error.RequestID = requestID
	var buf bytes.Buffer
	if EncodeJSON(&buf, e) != nil {
		return data
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}

func (s *streamWriter) write(b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastWrite = time.Now()
	if _, err := s.w.Write(b); err != nil {
		return err
	}
	return s.control.Flush()
}

// extendDeadline sets the write deadline to writeTimeout from now. The writers of tests have no deadlines.
func (s *streamWriter) extendDeadline() {
	_ = s.control.SetWriteDeadline(time.Now().Add(writeTimeout))
}

// tick runs on the timer: it checks the credential and sends a heartbeat if one is due.
func (s *streamWriter) tick() {
	err := s.api.CheckCredential(s.ctx, s.req.Principal)
	if core.CodeOf(err) == core.CodeUnauthorized {
		s.cancel(err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.extendDeadline()
	if time.Since(s.lastWrite) >= s.api.heartbeat {
		s.lastWrite = time.Now()
		_, err := io.WriteString(s.w, ": still here\n\n")
		if err := errors.Join(err, s.control.Flush()); err != nil {
			s.cancel(err)
			return
		}
	}
	s.timer.Reset(s.api.recheck)
}

// end sends an error event if the stream ends early and the client is still connected.
func (s *streamWriter) end(err error) {
	if errors.Is(err, io.EOF) {
		return
	}
	if cause := context.Cause(s.ctx); cause != nil {
		if errors.Is(cause, context.Canceled) {
			return // the client disconnected
		}
		err = cause
	}
	e := NewErrorReply(err, s.req.ID)
	s.req.Err = e
	data, err := json.Marshal(ErrorEvent{Type: "error", RunID: e.Failure.Details.RunID, Error: e.Failure})
	if err == nil {
		_ = s.send([]core.Event{{Data: data}}) // without an id, so that the client can resume after the last event
	}
}
