package api

import (
	"bytes"
	"context"
	"io"
	"iter"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/agentarea/agentarea/core"
)

// maxTail is how many lines of a log are given at once.
const maxTail = 10_000

type mcpLogLine struct {
	Seq       int64  `json:"seq" doc:"Rises by one a line, from 1 at the platform's start; a gap is lines that came too fast"`
	Timestamp stamp  `json:"timestamp"`
	Source    string `json:"source" enum:"stderr,host" doc:"stderr for the server's own words, host for the platform's on it"`
	Text      string `json:"text"`
}

type mcpLog struct {
	Logs []mcpLogLine `json:"logs"`
}

// mcpLogEvent is a line in a stream.
type mcpLogEvent struct {
	Type string `json:"type"`
	mcpLogLine
}

type mcpLogInput struct {
	ID          string `path:"server_id"`
	Tail        int    `query:"tail" minimum:"1" maximum:"10000" default:"100" doc:"How many of the last lines"`
	Follow      bool   `query:"follow" default:"false" doc:"Send also the lines to come, as server-sent events, until the server is deleted"`
	LastEventID string `header:"Last-Event-ID" doc:"The id of the last line that arrived, to follow from there on; goes before tail"`
}

const exampleLog = `id: 17
data: {"type":"log","seq":17,"timestamp":"2025-01-31T12:00:00.000000Z","source":"stderr","text":"Secure MCP Filesystem Server running on stdio"}

`

func (a *api) registerMCPLogs() {
	register(a, operation{
		id: "mcp-server-logs", method: http.MethodGet, path: mcpServerPath + "/logs", tag: "MCP servers", summary: "Get an MCP server's log", access: signedIn,
		about: "Its last lines, the newest at the end. For who made it, and admins: it may hold what others ask of a shared server.",
		response: mcpLog{Logs: []mcpLogLine{{
			Seq: 17, Timestamp: exampleTime, Source: "stderr", Text: "Secure MCP Filesystem Server running on stdio",
		}}},
		stream: exampleLog, errors: []core.Code{core.CodeForbidden},
	}, a.mcpLogs)
}

func (a *api) mcpLogs(ctx context.Context, in *mcpLogInput) (*huma.StreamResponse, error) {
	v := actor(ctx)
	s, err := a.mcpStore.MCPServer(ctx, v, in.ID)
	if err != nil {
		return nil, err
	}
	if !s.ChangeableBy(v) {
		return nil, core.Forbidden("Only who made the MCP server, or an admin, may read its log")
	}
	if in.Follow {
		return a.followMCPLog(ctx, in)
	}
	log := mcpLog{Logs: []mcpLogLine{}}
	for line := range a.mcp.Logs(ctx, in.ID, in.Tail, false) {
		log.Logs = append(log.Logs, logLine(line))
	}
	return whole(log), nil
}

func logLine(l core.MCPLogLine) mcpLogLine {
	return mcpLogLine{Seq: l.Seq, Timestamp: stamp(l.Time), Source: l.Source, Text: l.Text}
}

func (a *api) followMCPLog(ctx context.Context, in *mcpLogInput) (*huma.StreamResponse, error) {
	lines := &mcpLines{mcp: a.mcp, id: in.ID, tail: in.Tail}
	if in.LastEventID != "" {
		n, err := strconv.ParseInt(in.LastEventID, 10, 64)
		if err != nil || n < 0 {
			return nil, core.Invalid("Last-Event-ID", "Must be the id of a line, like 17")
		}
		lines.tail, lines.after = maxTail, n
		if n > a.newestMCPLine(ctx, in.ID) {
			lines.after = 0 // the platform was started since, and counts anew
		}
	}
	events := a.stream(ctx, lines)
	return &huma.StreamResponse{Body: func(hctx huma.Context) {
		defer lines.close()
		events.Body(hctx)
	}}, nil
}

func (a *api) newestMCPLine(ctx context.Context, id string) int64 {
	var newest int64
	for line := range a.mcp.Logs(ctx, id, 1, false) {
		newest = line.Seq
	}
	return newest
}

// mcpLines is the core.EventStream of a log that is followed.
type mcpLines struct {
	mcp   core.MCPServers
	id    string
	tail  int
	after int64

	next func() (core.MCPLogLine, bool)
	stop func()
}

// Next implements core.EventStream. All calls have the same ctx.
func (l *mcpLines) Next(ctx context.Context) ([]core.Event, error) {
	if l.next == nil {
		l.next, l.stop = iter.Pull(l.mcp.Logs(ctx, l.id, l.tail, true))
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
		if err := encode(&data, mcpLogEvent{"log", logLine(line)}); err != nil {
			return nil, err
		}
		return []core.Event{{Seq: line.Seq, Data: bytes.TrimSpace(data.Bytes())}}, nil
	}
}

// close ends the reading, wherever it is.
func (l *mcpLines) close() {
	if l.stop != nil {
		l.stop()
	}
}
