package storage

import (
	"context"
	"database/sql"

	"github.com/agentarea/agentarea/core"
)

const callColumns = `number, kind, request_hash, request, done, result, error, model,
input_tokens, output_tokens, cached_tokens, reasoning_tokens, started_at, ended_at`

var (
	putCall = &preparedStatement{`INSERT INTO calls (run_id, ` + callColumns + `, tool_list, list_bytes)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULLIF(?, ''), ?)
ON CONFLICT (run_id, number) DO UPDATE SET kind = excluded.kind, request_hash = excluded.request_hash,
request = excluded.request, done = excluded.done, result = excluded.result, error = excluded.error,
model = excluded.model, input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens,
cached_tokens = excluded.cached_tokens, reasoning_tokens = excluded.reasoning_tokens,
started_at = excluded.started_at, ended_at = excluded.ended_at, tool_list = excluded.tool_list,
list_bytes = calls.list_bytes + excluded.list_bytes`}

	selectCalls = &preparedStatement{`SELECT number, kind, request_hash, request, done, COALESCE(l.data, result),
	error, model,
input_tokens, output_tokens, cached_tokens, reasoning_tokens, started_at, ended_at
FROM calls LEFT JOIN tool_lists AS l ON l.hash = tool_list WHERE run_id = ? ORDER BY number`}
)

// callArgs returns the arguments of putCall, except for the last one, and the size of the call. A result with the
// given hash is stored by putToolList instead.
func callArgs(runID string, c *core.Call, toolList string) (args []any, size int64, err error) {
	fault, err := errorText(c.Error)
	result := string(c.Result)
	if toolList != "" {
		result = ""
	}
	hash := c.RequestHash
	if hash == nil {
		hash = []byte{}
	}
	return []any{
		runID, int64(c.Number), string(c.Kind), hash, string(c.Request), c.Done, //nolint:gosec // the conversion is undone on reading
		result, fault, c.Model, c.Usage.InputTokens, c.Usage.OutputTokens,
		c.Usage.CachedInputTokens, c.Usage.ReasoningTokens, micros(c.StartedAt), micros(c.EndedAt), toolList,
	}, rowBytes + int64(len(c.Request)+len(result)+len(fault)), err
}

// RecordCall implements core.RunStore. A call with the same number replaces the stored call.
func (db *DB) RecordCall(ctx context.Context, run *core.Run, c *core.Call, events []core.EventRow) error {
	toolList := toolListHash(c)
	args, size, err := callArgs(run.ID, c, toolList)
	if err != nil {
		return err
	}
	err = db.write(ctx, func(ctx context.Context, tx *tx) error {
		if err := fence(ctx, tx, run); err != nil {
			return err
		}
		listBytes, err := putToolList(ctx, tx, toolList, c)
		if err != nil {
			return err
		}
		if _, err := tx.exec(ctx, putCall, append(args, listBytes)...); err != nil {
			return err
		}
		if err := recordUsage(ctx, tx, run, c); err != nil {
			return err
		}
		return putEvents(ctx, tx, run.ID, events)
	})
	if err == nil {
		db.quota.add(run.UserID, size+eventsSize(events))
	}
	return err
}

// Calls implements core.RunStore.
func (db *DB) Calls(ctx context.Context, runID string) ([]*core.Call, error) {
	var calls []*core.Call
	err := db.query(ctx, selectCalls, []any{runID}, func(rows *sql.Rows) error {
		c := &core.Call{RunID: runID}
		var number, started, ended int64
		var kind, request, result, fault string
		err := rows.Scan(&number, &kind, &c.RequestHash, &request, &c.Done, &result, &fault, &c.Model,
			&c.Usage.InputTokens, &c.Usage.OutputTokens, &c.Usage.CachedInputTokens, &c.Usage.ReasoningTokens,
			&started, &ended)
		if err != nil {
			return err
		}
		c.Number, c.Kind = uint64(number), core.CallKind(kind) //nolint:gosec // it was converted from uint64
		c.Request, c.Result = rawJSON(request), rawJSON(result)
		c.StartedAt, c.EndedAt = instant(started), instant(ended)
		calls = append(calls, c)
		c.Error, err = errorOf(fault)
		return err
	})
	return calls, err
}
