package hostcall

import (
	"context"
	"fmt"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/run/journal"
	"github.com/agentarea/agentarea/sdk/agent"
)

// readAgainTimeout is the maximum time that a replayed read waits for a file that is unavailable.
const readAgainTimeout = 30 * time.Second

// fileReader handles the host call ReadFile.
type fileReader struct {
	files      *Files
	recorder   Recorder
	settler    Settler
	retryPause time.Duration
}

// read reads a file for the agent plugin. The record contains the number of bytes, not
// the bytes.
func (r *fileReader) read(ctx context.Context, span *agent.FileRange, record *core.Call) (*agent.Result, error) {
	record.Request = journal.Marshal(span)
	data, err := r.readRange(ctx, span)
	result := struct {
		Bytes int `json:"bytes"`
	}{len(data)}
	if !journal.Finish(ctx, record, result, err) {
		return nil, err
	}
	if recordErr := r.recorder.Record(record, nil); recordErr != nil {
		return nil, recordErr
	}
	return &agent.Result{Data: data}, err
}

func (r *fileReader) readRange(ctx context.Context, span *agent.FileRange) ([]byte, error) {
	f, err := r.files.file(ctx, span.FileID)
	if err != nil {
		return nil, err
	}
	return r.files.read(ctx, f, span.Offset, span.Length)
}

// readAgain repeats a recorded read during replay; the content of a file never changes.
// If the file is no longer readable, the run fails, because the loop cannot be replayed.
func (r *fileReader) readAgain(ctx context.Context, span *agent.FileRange) (*agent.Result, error) {
	deadline := time.Now().Add(readAgainTimeout)
	for {
		data, err := r.readRange(ctx, span)
		if err == nil {
			return &agent.Result{Data: data}, nil
		}
		if ctx.Err() == nil && (!temporarilyUnavailable(err) || time.Now().After(deadline)) {
			failure := *journal.Error(err)
			failure.Message = fmt.Sprintf(
				"File %q was read before the run was interrupted and is no longer readable: %s", span.FileID, failure.Message)
			r.settler.Fail(&failure)
			return nil, &failure
		}
		select {
		case <-time.After(r.retryPause):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
