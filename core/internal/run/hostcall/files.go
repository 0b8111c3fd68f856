package hostcall

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/run/journal"
	"github.com/agentarea/agentarea/sdk"
)

// FileStore finds files. core.FileStore implements it.
type FileStore interface {
	// File fails with NotFound.
	File(ctx context.Context, v core.Actor, id string) (*core.File, error)
}

// FileContent reads and writes the content of files. core.Files implements it.
type FileContent interface {
	// Open returns a reader of the content of f. Reads fail with Unavailable.
	Open(ctx context.Context, f *core.File) io.ReadSeekCloser
	// Upload stores a new file. When it returns, the content is durable. An upload with
	// the ID of an existing file of the actor returns that file.
	Upload(ctx context.Context, audit *core.AuditRecord, v core.Actor, u *core.Upload) (*core.File, error)
}

// Files is the access of a run to the files of its conversation. Its methods may be called
// concurrently.
type Files struct {
	run     *core.Run
	store   FileStore
	content FileContent

	conversation conversation
}

// NewFiles returns the files of run. Without store or content, files cannot be read or
// written: the methods fail with Unavailable.
func NewFiles(run *core.Run, store FileStore, content FileContent) *Files {
	return &Files{run: run, store: store, content: content}
}

// AddMessages makes the files that messages name readable. Messages come oldest first.
func (f *Files) AddMessages(messages ...sdk.Message) { f.conversation.add(messages...) }

// AnswerParts returns the parts of an answer as they are stored: without files that are
// not in the conversation, and with the files that the run has written.
func (f *Files) AnswerParts(parts []sdk.Part) []sdk.Part { return f.conversation.answerParts(parts) }

// actor returns the user of the run. The role is member, because a run must not read
// the files of other users even if its user is an administrator.
func (f *Files) actor() core.Actor {
	return core.Actor{UserID: f.run.UserID, Role: core.RoleMember}
}

// file returns a file of the conversation. It fails with NotFound if the file is deleted
// or the conversation does not name it.
func (f *Files) file(ctx context.Context, id string) (*core.File, error) {
	if _, ok := f.conversation.find(id); !ok {
		return nil, core.NotFound("file", id)
	}
	if f.store == nil {
		return nil, errNoFiles()
	}
	return f.store.File(ctx, f.actor(), id)
}

// read returns length bytes of file from offset, or fewer at the end of the file.
func (f *Files) read(ctx context.Context, file *core.File, offset, length int64) ([]byte, error) {
	length = min(length, file.Size-offset)
	if length <= 0 {
		return nil, nil
	}
	if f.content == nil {
		return nil, errNoFiles()
	}
	r := f.content.Open(ctx, file)
	defer r.Close()
	if _, err := r.Seek(offset, io.SeekStart); err != nil {
		return nil, err
	}
	data := make([]byte, length)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, fmt.Errorf("read file %s: %w", file.ID, err)
	}
	return data, nil
}

// write stores a new file. Its ID depends on the number of the call, so a call that is
// repeated after a crash returns the file that it has written before.
func (f *Files) write(ctx context.Context, number uint64, name string, content io.Reader) (*core.File, error) {
	if f.content == nil {
		return nil, errNoFiles()
	}
	return f.content.Upload(ctx, nil, f.actor(), &core.Upload{
		ID:   core.DerivedID("file", f.run.CreatedAt, fmt.Sprintf("%s %d", f.run.ID, number)),
		Name: name, Body: content,
	})
}

func errNoFiles() error {
	return core.Unavailable("File storage is not configured on this server.")
}

// temporarilyUnavailable reports whether the file of a failed read may be readable later. A
// backend that has lost the content returns Unavailable with the cause CodeNotFound.
func temporarilyUnavailable(err error) bool {
	var cause *sdk.Error
	lost := errors.As(err, &cause) && cause.Code == sdk.CodeNotFound
	return !lost && journal.Error(err).Code == sdk.CodeUnavailable
}
