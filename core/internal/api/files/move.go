package files

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

// progressInterval is the minimum time between two progress events.
const progressInterval = 250 * time.Millisecond

type moveRequest struct {
	From string `json:"from" minLength:"1" doc:"The label of the files block to move files from"`
	To   string `json:"to" minLength:"1" doc:"The label of the files block to move files to"`
}

type moveInput struct{ Body moveRequest }

// MoveCounts is the progress of a move. Like other embedded structs, it is exported because Huma ignores those that
// are not.
type MoveCounts struct {
	Files      int   `json:"files" doc:"The number of files that were moved"`
	Bytes      int64 `json:"bytes"`
	TotalFiles int   `json:"total_files"`
	TotalBytes int64 `json:"total_bytes"`
	Failed     int   `json:"failed" doc:"The number of files that could not be moved"`
}

type moveProgressEvent struct {
	Type string `json:"type" enum:"progress"`
	MoveCounts
}

type moveEndEvent struct {
	Type string `json:"type" enum:"end" doc:"The last event of a move"`
	MoveCounts
}

type moveFailedEvent struct {
	Type   string      `json:"type" enum:"failed" doc:"A file could not be moved, and stays where it is"`
	FileID string      `json:"file_id"`
	Error  api.Failure `json:"error"`
}

var moveEvents = &api.Events{
	Name: "MoveEvent",
	Types: []any{
		moveProgressEvent{"progress", MoveCounts{Files: 1, Bytes: 48213, TotalFiles: 3, TotalBytes: 96426}},
		moveFailedEvent{"failed", "file-123", api.ExampleError.Error},
		moveEndEvent{"end", MoveCounts{Files: 2, Bytes: 72319, TotalFiles: 3, TotalBytes: 96426, Failed: 1}},
		api.ExampleError,
	},
	Example: exampleMove,
}

const exampleMove = `data: {"type":"progress","files":1,"bytes":48213,"total_files":3,"total_bytes":96426,"failed":0}

data: {"type":"failed","file_id":"file-123","error":{"code":"SERVICE_UNAVAILABLE","message":"The file backend \"s3\" is not available. Try again later.","details":{},"request_id":"req-123"}}

data: {"type":"end","files":2,"bytes":72319,"total_files":3,"total_bytes":96426,"failed":1}

`

func registerMove(h *handlers) {
	api.Register(h.api, api.Operation{
		ID: "move-files", Method: http.MethodPost, Path: "/v1/files/move",
		Tag: "Files", Summary: "Move files to another backend", Access: api.Admin,
		Description: "Moves the content of all files of one backend to another and verifies each by its checksum, without " +
			"interrupting the server. Streams progress and failed events, and finally end or error. A file that failed stays " +
			"where it is. Disconnecting ends the move; call it again to continue.",
		Request: moveRequest{From: "local", To: "s3"}, Stream: moveEvents, Errors: []core.Code{core.CodeConflict},
	}, h.move)
}

// move starts a move and streams its events. It waits for the first report, so that a move that cannot
// start is answered with its error.
func (h *handlers) move(ctx context.Context, in *moveInput) (*huma.StreamResponse, error) {
	ctx, cancel := context.WithCancel(ctx)
	m := &moveStream{
		mover: h.Mover, api: h.api, requestID: api.RequestFrom(ctx).ID,
		reports: make(chan core.MoveProgress), done: make(chan struct{}),
	}
	go m.run(ctx, api.Audit(ctx), in.Body)
	select {
	case p := <-m.reports:
		m.next = &p
	case <-m.done:
	}
	if m.next == nil && m.err != nil {
		cancel()
		return nil, m.err
	}
	events := h.api.Stream(ctx, m)
	return &huma.StreamResponse{Body: func(hctx huma.Context) {
		defer func() {
			cancel()
			<-m.done
		}()
		events.Body(hctx)
	}}, nil
}

// moveStream is the core.EventStream of a running move.
type moveStream struct {
	mover     Mover
	api       *api.API
	requestID string
	reports   chan core.MoveProgress
	// done is closed when the move has ended, and err is its error.
	done chan struct{}
	err  error

	// The other fields belong to the reader.
	next   *core.MoveProgress
	latest core.MoveProgress
	// pending reports whether latest has not been sent yet. lastSent is the time at which progress was last sent.
	pending  bool
	lastSent time.Time
	ended    bool
}

// run moves the files. It recovers from a panic, because it runs outside of the request's goroutine.
func (m *moveStream) run(ctx context.Context, audit *core.AuditRecord, r moveRequest) {
	defer close(m.done)
	defer func() {
		if p := recover(); p != nil {
			m.api.Logger().ErrorContext(ctx, "recovered from a panic in a move of files",
				"request_id", m.requestID, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			m.err = fmt.Errorf("panic: %v", p)
		}
	}()
	m.err = m.mover.Move(ctx, audit, r.From, r.To, func(p core.MoveProgress) {
		select {
		case m.reports <- p:
		case <-ctx.Done():
		}
	})
}

// Next implements core.EventStream.
func (m *moveStream) Next(ctx context.Context) ([]core.Event, error) {
	for {
		if p := m.next; p != nil {
			m.next = nil
			if e := m.accept(ctx, *p); e != nil {
				return e, nil
			}
		}
		var due <-chan time.Time
		if m.pending {
			wait := time.Until(m.lastSent.Add(progressInterval))
			if wait <= 0 {
				return newEvent(moveProgressEvent{"progress", m.progress()})
			}
			due = time.After(wait)
		}
		select {
		case p := <-m.reports:
			m.next = &p
		case <-due:
		case <-m.done:
			return m.end()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// accept records a report, and returns the event of a failure.
func (m *moveStream) accept(ctx context.Context, p core.MoveProgress) []core.Event {
	m.latest, m.pending = p, true
	if p.FileID == "" {
		return nil
	}
	m.api.Logger().WarnContext(ctx, "cannot move file", "request_id", m.requestID, "file_id", p.FileID, "error", p.Error)
	f := api.NewErrorReply(p.Error, m.requestID).Failure
	events, err := newEvent(moveFailedEvent{"failed", p.FileID, f})
	if err != nil {
		return nil
	}
	return events
}

// progress returns the latest progress, which is then no longer pending.
func (m *moveStream) progress() MoveCounts {
	p := m.latest
	m.pending, m.lastSent = false, time.Now()
	return MoveCounts{p.Files, p.Bytes, p.TotalFiles, p.TotalBytes, p.Failed}
}

// end returns the end event, then io.EOF, or the error of the move.
func (m *moveStream) end() ([]core.Event, error) {
	switch {
	case m.err != nil:
		return nil, m.err
	case m.ended:
		return nil, io.EOF
	default:
		m.ended = true
		return newEvent(moveEndEvent{"end", m.progress()})
	}
}

func newEvent(v any) ([]core.Event, error) {
	data, err := json.Marshal(v)
	return []core.Event{{Data: data}}, err
}
