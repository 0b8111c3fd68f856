package storage

import (
	"context"
	"strconv"
	"strings"

	"github.com/uptrace/bun"

	"github.com/agentarea/agentarea/core"
)

// A user's data is measured in bytes. The rows of sessions can be many, so the column bytes of a session has the
// size of its messages and runs, with the calls and events of ended runs. Rows of other tables, and the calls
// and events of active runs, are measured when the usage is read. So deleted and transferred objects need no
// counter, and a turn whose server crashed is counted when it ends.

const (
	// rowBytes is what a row counts in addition to its texts: its ids, times and numbers, and its entries in
	// indexes.
	rowBytes = 256
	// firstEvent is the number of the event that StartRun stores. It is counted at the start of the run and
	// the later events at its end.
	firstEvent = 1
)

// rowSize returns the size of a row with the given columns as a SQL expression.
func rowSize(columns ...string) string {
	size := strconv.Itoa(rowBytes)
	for _, c := range columns {
		size += " + OCTET_LENGTH(" + c + ")"
	}
	return size
}

// The sizes of rows as SQL expressions.
var (
	runSize     = rowSize("r.config", "r.mcp_servers", "r.error")
	callSize    = rowSize("request", "result", "error") + " + list_bytes"
	eventSize   = rowSize("data")
	taskSize    = rowSize("title", "description", "data", "input", "result", "error")
	agentSize   = rowSize("name", "description", "config", "mcp_servers")
	serverSize  = rowSize("name", "description", "config", "capabilities", "COALESCE(secrets, '')")
	fileRowSize = rowSize("name", "name_fold", "metadata")
)

// sumOf returns the sum of an expression over rows of a table as a SQL expression.
func sumOf(size, table, where string) string {
	return "(SELECT CAST(COALESCE(SUM(" + size + "), 0) AS BIGINT) FROM " + table + " WHERE " + where + ")"
}

// laterSize returns the size of the calls of a run, and of its events after the first, as a SQL expression.
func laterSize(run string) string {
	return sumOf(callSize, "calls", "run_id = "+run) + " + " + sumOf(eventSize, "events", "run_id = "+run+" AND first > 1")
}

var (
	// selectDataUsage has the id of the user as each of its seven arguments.
	selectDataUsage = &preparedStatement{"SELECT " + strings.Join([]string{
		sumOf("bytes", "sessions", "user_id = ?"),
		sumOf(laterSize("r.id"), "runs AS r", isActive+" AND user_id = ?"),
		sumOf("bytes", "notices", "user_id = ?"),
		sumOf(taskSize, "tasks", "user_id = ?"),
		sumOf(agentSize, "agents", "created_by = ?"),
		sumOf(serverSize, "mcp_servers", "created_by = ?"),
		sumOf(fileRowSize, "files", "created_by = ?"),
	}, " + ")}

	selectAgentSize  = &preparedStatement{`SELECT created_by, ` + agentSize + ` FROM agents WHERE id = ?`}
	selectServerSize = &preparedStatement{`SELECT created_by, ` + serverSize + ` FROM mcp_servers WHERE id = ?`}
	selectFileSize   = &preparedStatement{`SELECT created_by, ` + fileRowSize + ` FROM files WHERE id = ?`}

	// countLater adds what laterSize returns to the session of a run.
	countLater = &preparedStatement{`UPDATE sessions SET bytes = bytes + ` + laterSize("?") + `
WHERE key = (SELECT session_key FROM runs WHERE id = ?)`}
)

func (m storedMessage) size() int64 {
	return rowBytes + int64(len(m.text)+len(m.parts)+len(m.steps)+len(m.metadata))
}

// firstSize returns the size of the first event of a run, if it is among rows.
func firstSize(rows []core.EventRow) (n int64) {
	for _, e := range rows {
		if e.First <= firstEvent {
			n += rowBytes + int64(len(e.Data))
		}
	}
	return n
}

// eventsSize returns the size of rows without the first event of a run.
func eventsSize(rows []core.EventRow) (n int64) {
	for _, e := range rows {
		if e.First > firstEvent {
			n += rowBytes + int64(len(e.Data))
		}
	}
	return n
}

func (r *agentRow) size() int64 {
	return rowBytes + int64(len(r.Name)+len(r.Description)+len(r.Config)+len(r.MCPServers))
}

func (r *mcpServerRow) size() int64 {
	return rowBytes + int64(len(r.Name)+len(r.Description)+len(r.Config)+len(r.Capabilities)+len(r.Secrets))
}

func (r *taskRow) size() int64 {
	return rowBytes + int64(len(r.Title)+len(r.Description)+len(r.Data)+len(r.Input)+len(r.Result)+len(r.Error))
}

// fileSize returns the size of the row of a file, without the content of the file.
func fileSize(f *core.File) int64 {
	return rowBytes + int64(len(f.Name)+len(fold(f.Name))+len(f.Metadata))
}

// subtractSizes subtracts sizes from sessions. q selects the keys of sessions, which can be null, and sizes.
func subtractSizes(ctx context.Context, tx *tx, q *bun.SelectQuery) error {
	var rows []struct {
		Key   string
		Bytes int64
	}
	if err := q.Where("r.session_key IS NOT NULL").GroupExpr("r.session_key").Scan(ctx, &rows); err != nil {
		return err
	}
	for _, r := range rows {
		_, err := tx.NewUpdate().Model((*sessionRow)(nil)).Set("bytes = bytes - ?", r.Bytes).
			Where("key = ?", r.Key).Exec(ctx)
		if err != nil {
			return err
		}
	}
	return nil
}
