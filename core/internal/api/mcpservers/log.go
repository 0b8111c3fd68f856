package mcpservers

import (
	"bytes"
	"context"
	"io"
	"iter"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

// maxTail is the maximum number of lines that are returned at once.
const maxTail = 10_000

type mcpLogLine struct {
	Seq       int64    `json:"seq" doc:"The number of the line, from 1 at the start of the platform. A gap means that lines were dropped"`
	Timestamp api.Time `json:"timestamp"`
	Source    string   `json:"source" enum:"stderr,host" doc:"stderr for the server's own output, host for messages of the platform about it"`
	Text      string   `json:"text"`
}

type mcpLog struct {
	Logs []mcpLogLine `json:"logs"`
}

// logLineEvent is a line in a stream.
type logLineEvent struct {
	Type      string   `json:"type" enum:"log"`
	Seq       int64    `json:"seq"`
	Timestamp api.Time `json:"timestamp"`
	Source    string   `json:"source" enum:"stderr,host"`
	Text      string   `json:"text"`
}

type mcpLogInput struct {
	ID          string `path:"server_id"`
	Tail        int    `query:"tail" minimum:"1" maximum:"10000" default:"100" doc:"The number of lines from the end of the log"`
	Follow      bool   `query:"follow" default:"false" doc:"Also stream later lines as server-sent events, until the server is deleted"`
	LastEventID string `header:"Last-Event-ID" doc:"With follow: the id of the last line you received. Takes precedence over tail"`
}

const exampleLog = `id: 17
data: {"type":"log","seq":17,"timestamp":"2025-01-31T12:00:00.000000Z","source":"stderr","text":"Secure MCP Filesystem Server running on stdio"}

`

var logEvents = &api.Events{
	Name: "McpLogEvent",
	Types: []any{
		logLineEvent{"log", 17, api.ExampleTime, "stderr", "Secure MCP Filesystem Server running on stdio"}, api.ExampleError,
	},
	Example: exampleLog,
}

func registerLogs(h *handlers) {
	api.Register(h.api, api.Operation{
		ID: "mcp-server-logs", Method: http.MethodGet, Path: serverPath + "/logs", Tag: "MCP servers", Access: api.SignedIn,
		Summary: "Get an MCP server's log",
		Description: "The last lines of the log, the newest at the end. Only for the server's creator and admins, because " +
			"the log of a shared server can contain requests of other users.",
		Response: mcpLog{Logs: []mcpLogLine{{
			Seq: 17, Timestamp: api.ExampleTime, Source: "stderr", Text: "Secure MCP Filesystem Server running on stdio",
		}}},
		Stream: logEvents, Errors: []core.Code{core.CodeForbidden},
	}, h.logs)
}

func (h *handlers) logs(ctx context.Context, in *mcpLogInput) (*huma.StreamResponse, error) {
	v := api.Actor(ctx)
	s, err := h.Store.MCPServer(ctx, v, in.ID)
	if err != nil {
		return nil, err
	}
	if !s.ChangeableBy(v) {
		return nil, core.Forbidden(
			"Insufficient permissions: only the creator of the MCP server or an admin may read its log",
		).WithObject("MCP server", in.ID)
	}
	if in.Follow {
		return h.followLogs(ctx, in)
	}
	log, size := mcpLog{Logs: []mcpLogLine{}}, 0
	for line := range h.Inspector.Logs(ctx, in.ID, in.Tail, false) {
		log.Logs = append(log.Logs, newLogLine(line))
		size += len(line.Text)
	}
	if err := h.api.EnterLarge(ctx, size); err != nil {
		return nil, err
	}
	return api.JSONResponse(log), nil
}

func newLogLine(l core.MCPLogLine) mcpLogLine {
	return mcpLogLine{Seq: l.Seq, Timestamp: api.Time(l.Time), Source: l.Source, Text: l.Text}
}

func (h *handlers) followLogs(ctx context.Context, in *mcpLogInput) (*huma.StreamResponse, error) {
	lines := &logStream{inspector: h.Inspector, id: in.ID, tail: in.Tail}
	if in.LastEventID != "" {
		n, err := strconv.ParseInt(in.LastEventID, 10, 64)
		if err != nil || n < 0 {
			return nil, core.Invalid("Last-Event-ID", "Must be the id of a line, such as 17")
		}
		lines.tail, lines.after = maxTail, n
		if n > h.newestLine(ctx, in.ID) {
			lines.after = 0 // the platform has restarted since, and with it the numbers
		}
	}
	events := h.api.Stream(ctx, lines)
	return &huma.StreamResponse{Body: func(hctx huma.Context) {
		defer lines.close()
		events.Body(hctx)
	}}, nil
}

// newestLine returns the number of the newest line, or 0.
func (h *handlers) newestLine(ctx context.Context, id string) int64 {
	var newest int64
	for line := range h.Inspector.Logs(ctx, id, 1, false) {
		newest = line.Seq
	}
	return newest
}

// logStream is the core.EventStream of a log that is followed.
type logStream struct {
	inspector Inspector
	id        string
	tail      int
	after     int64

	next func() (core.MCPLogLine, bool)
	stop func()
}

// Next implements core.EventStream. All calls must have the same ctx.
func (l *logStream) Next(ctx context.Context) ([]core.Event, error) {
	if l.next == nil {
		l.next, l.stop = iter.Pull(l.inspector.Logs(ctx, l.id, l.tail, true))
	}
	for {
		line, ok := l.next()
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case !ok:
			return nil, io.EOF
		case line.Seq <= l.after:
			continue
		}
		var data bytes.Buffer
		if err := api.EncodeJSON(&data, logLineEvent{"log", line.Seq, api.Time(line.Time), line.Source, line.Text}); err != nil {
			return nil, err
		}
		return []core.Event{{Seq: line.Seq, Data: bytes.TrimSpace(data.Bytes())}}, nil
	}
}

// close ends the reading of the log.
func (l *logStream) close() {
	if l.stop != nil {
		l.stop()
	}
}
