package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

// viewer is the run's user, who sees no other's files, whatever the role.
func (x *execution) actor() core.Actor {
	return core.Actor{UserID: x.run.UserID, Role: core.RoleMember}
}

// file finds a file of the conversation. It fails with NotFound for one that is
// deleted, and just so for one that the conversation does not name.
func (x *execution) file(ctx context.Context, id string) (*core.File, error) {
	if _, ok := x.files.find(id); !ok {
		return nil, core.NotFound("file", id)
	}
	if x.engine.FileStore == nil {
		return nil, errNoFiles()
	}
	return x.engine.FileStore.File(ctx, x.actor(), id)
}

// read gives length bytes from offset; fewer are the last.
func (x *execution) read(ctx context.Context, f *core.File, offset, length int64) ([]byte, error) {
	length = min(length, f.Size-offset)
	if length <= 0 {
		return nil, nil
	}
	if x.engine.Files == nil {
		return nil, errNoFiles()
	}
	r := x.engine.Files.Open(ctx, f)
	defer r.Close()
	if _, err := r.Seek(offset, io.SeekStart); err != nil {
		return nil, err
	}
	data := make([]byte, length)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, fmt.Errorf("read file %s: %w", f.ID, err)
	}
	return data, nil
}

func errNoFiles() error { return core.Unavailable("This server keeps no files") }

func (x *execution) readRange(ctx context.Context, r *agent.FileRange) ([]byte, error) {
	f, err := x.file(ctx, r.FileID)
	if err != nil {
		return nil, err
	}
	return x.read(ctx, f, r.Offset, r.Length)
}

// performReadFile reads a file for the loop. The record says how much was read.
func (x *execution) performReadFile(ctx context.Context, r *agent.FileRange, record *core.Call) (*agent.Result, error) {
	record.Request = marshal(r)
	data, err := x.readRange(ctx, r)
	result := struct {
		Bytes int `json:"bytes"`
	}{len(data)}
	if !settle(ctx, record, result, err) {
		return nil, err
	}
	if kept := x.keep(record, "", nil); kept != nil {
		return nil, kept
	}
	return &agent.Result{Data: data}, err
}

// readAgain makes a recorded read once more, after the run was cut: the bytes
// never change. A file that can't be had any more ends the run, for the loop
// could not repeat itself.
func (x *execution) readAgain(ctx context.Context, r *agent.FileRange) (*agent.Result, error) {
	patience := time.Now().Add(restartPatience)
	for {
		data, err := x.readRange(ctx, r)
		if err == nil {
			return &agent.Result{Data: data}, nil
		}
		if ctx.Err() == nil && (!away(err) || time.Now().After(patience)) {
			shown := *toSDK(err)
			shown.Message = fmt.Sprintf("the file %s was read before the run was cut, and can't be read again: %s", r.FileID, shown.Message)
			x.fail(&shown)
			return nil, &shown
		}
		select {
		case <-time.After(x.engine.Times.Retry):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// away says whether a file may be read later, though not now. That a backend has
// lost the bytes is the private cause of an Unavailable.
func away(err error) bool {
	var cause *sdk.Error
	lost := errors.As(err, &cause) && cause.Code == sdk.CodeNotFound
	return !lost && toSDK(err).Code == sdk.CodeUnavailable
}
