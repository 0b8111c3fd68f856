package api

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
)

// progressEvery is how often a move tells how far it is, at most.
const progressEvery = 250 * time.Millisecond

type moveRequest struct {
	From string `json:"from" minLength:"1" doc:"The label of the files stanza to empty"`
	To   string `json:"to" minLength:"1" doc:"The label of the files stanza to fill"`
}

type moveInput struct{ Body moveRequest }

// moveEvent is one event of a move's stream.
type moveEvent struct {
	Type       string `json:"type"`
	Files      int    `json:"files"`
	Bytes      int64  `json:"bytes"`
	TotalFiles int    `json:"total_files"`
	TotalBytes int64  `json:"total_bytes"`
	Failed     int    `json:"failed"`
}

type moveFailure struct {
	Type   string    `json:"type"`
	FileID string    `json:"file_id"`
	Error  moveCause `json:"error"`
}

type moveCause struct {
	Code    core.Code `json:"code"`
	Message string    `json:"message"`
}

const exampleMove = `data: {"type":"progress","files":1,"bytes":48213,"total_files":3,"total_bytes":96426,"failed":0}

data: {"type":"failed","file_id":"file-123","error":{"code":"SERVICE_UNAVAILABLE","message":"The file backend \"s3\" is down: try again"}}

data: {"type":"end","files":2,"bytes":72319,"total_files":3,"total_bytes":96426,"failed":1}

`

func (a *api) registerFileMove() {
	register(a, operation{
		id: "move-files", method: http.MethodPost, path: "/v1/files/move", tag: "Files", summary: "Move files to another backend", access: admin,
		about: "Moves the bytes of all files of one backend to another, each verified by its checksum, while everything goes on. Tells by events of the types " +
			"progress and failed (the file stays where it is) how far it is, and at the end by end or error. A client that goes away ends the move; another one goes on where it was.",
		request: moveRequest{From: "local", To: "s3"}, stream: exampleMove, errors: []core.Code{core.CodeConflict},
	}, a.moveFiles)
}

func (a *api) moveFiles(ctx context.Context, in *moveInput) (*huma.StreamResponse, error) {
	ctx, cancel := context.WithCancel(ctx)
	m := &fileMove{api: a, requestID: requestOf(ctx).id, reports: make(chan core.MoveProgress), done: make(chan struct{})}
	go m.run(ctx, in.Body)
	select {
	case p := <-m.reports:
		m.first = &p
	case <-m.done:
	}
	if m.first == nil && m.err != nil {
		cancel()
		return nil, m.err
	}
	events := a.stream(ctx, m)
	return &huma.StreamResponse{Body: func(hctx huma.Context) {
		defer func() {
			cancel()
			<-m.done
		}()
		events.Body(hctx)
	}}, nil
}

// fileMove is the core.EventStream of a move that is under way.
type fileMove struct {
	api       *api
	requestID string
	reports   chan core.MoveProgress
	// done is closed when the move has ended, with err or well.
	done chan struct{}
	err  error

	// The rest is the reader's.
	first  *core.MoveProgress
	latest core.MoveProgress
	// fresh says that latest is not told yet, and told is when it last was.
	fresh bool
	told  time.Time
	ended bool
}

func (m *fileMove) run(ctx context.Context, r moveRequest) {
	defer close(m.done)
	defer func() {
		if p := recover(); p != nil {
			m.api.log.ErrorContext(ctx, "panic in a move", "request_id", m.requestID, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			m.err = fmt.Errorf("panic: %v", p)
		}
	}()
	m.err = m.api.files.Move(ctx, r.From, r.To, func(p core.MoveProgress) {
		select {
		case m.reports <- p:
		case <-ctx.Done():
		}
	})
}

// Next implements core.EventStream.
func (m *fileMove) Next(ctx context.Context) ([]core.Event, error) {
	for {
		if p := m.first; p != nil {
			m.first = nil
			if e := m.take(ctx, *p); e != nil {
				return e, nil
			}
		}
		var due <-chan time.Time
		if m.fresh {
			wait := time.Until(m.told.Add(progressEvery))
			if wait <= 0 {
				return m.tell("progress")
			}
			due = time.After(wait)
		}
		select {
		case p := <-m.reports:
			m.first = &p
		case <-due:
		case <-m.done:
			return m.end()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// take notes a report, and gives the event of a failure at once.
func (m *fileMove) take(ctx context.Context, p core.MoveProgress) []core.Event {
	m.latest, m.fresh = p, true
	if p.FileID == "" {
		return nil
	}
	m.api.log.WarnContext(ctx, "a file was not moved", "request_id", m.requestID, "file_id", p.FileID, "error", p.Error)
	shown := reply(p.Error, m.requestID).Failure
	events, err := moved(moveFailure{"failed", p.FileID, moveCause{shown.Code, shown.Message}})
	if err != nil {
		return nil
	}
	return events
}

func (m *fileMove) tell(kind string) ([]core.Event, error) {
	p := m.latest
	m.fresh, m.told = false, time.Now()
	return moved(moveEvent{kind, p.Files, p.Bytes, p.TotalFiles, p.TotalBytes, p.Failed})
}

func (m *fileMove) end() ([]core.Event, error) {
	switch {
	case m.err != nil:
		return nil, m.err
	case m.ended:
		return nil, io.EOF
	default:
		m.ended = true
		return m.tell("end")
	}
}

func moved(v any) ([]core.Event, error) {
	data, err := json.Marshal(v)
	return []core.Event{{Data: data}}, err
}
