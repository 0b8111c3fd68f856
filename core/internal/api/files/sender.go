package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

const (
	// copyBuffer is the number of bytes that are read from a file at a time, and writeChunk the number
	// that are written between two checks of the deadline.
	copyBuffer = 256 << 10
	writeChunk = 64 << 10
)

var copyBuffers = sync.Pool{New: func() any { return new([copyBuffer]byte) }}

// sender is the http.ResponseWriter that http.ServeContent writes to. It delays the header until the first
// bytes are read, so that a backend that fails immediately is answered with an error. It replaces the errors of
// ServeContent by those of the API, and aborts the connection if the content ends early.
type sender struct {
	api         *api.API
	idleTimeout time.Duration
	file        *core.File
	w           http.ResponseWriter
	r           *http.Request
	req         *api.Request
	control     *http.ResponseController
	// extended is the time at which the write deadline was last extended.
	extended time.Time
	// status is the status that ServeContent has chosen, or 0 until then.
	status int
	// answered reports whether the header has been written.
	answered bool
	// readErr is the error of reading the content. left is the number of bytes not sent yet.
	readErr error
	left    int64
}

// Header implements http.ResponseWriter.
func (s *sender) Header() http.Header { return s.w.Header() }

// WriteHeader implements http.ResponseWriter.
func (s *sender) WriteHeader(status int) {
	if s.status != 0 {
		return
	}
	s.status = status
	switch {
	case status == http.StatusOK || status == http.StatusPartialContent:
		s.left, _ = strconv.ParseInt(s.w.Header().Get("Content-Length"), 10, 64)
		if s.r.Method == http.MethodHead {
			s.left = 0
		}
	case status == http.StatusNotModified:
		s.writeHeader()
	case status == http.StatusPreconditionFailed:
		s.fail(api.NewErrorReply(api.VersionConflict("file"), s.req.ID))
	case status == http.StatusRequestedRangeNotSatisfiable:
		s.w.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", s.file.Size))
		s.fail(rangeNotSatisfiable(s.file.Size, s.req.ID))
	default:
		s.fail(api.NewErrorReply(fmt.Errorf("serve a file: status %d", status), s.req.ID))
	}
}

// Write implements io.Writer. It discards b: ServeContent uses Write only for the text of an error, which
// WriteHeader has replaced.
func (s *sender) Write(b []byte) (int, error) { return len(b), nil }

// ReadFrom implements io.ReaderFrom. ServeContent uses it to send content.
func (s *sender) ReadFrom(src io.Reader) (int64, error) {
	buf, _ := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(buf)
	var sent int64
	// The first bytes of a reply with several ranges are the header of a part, so read until the buffer
	// contains content, too.
	n, err := io.ReadFull(src, buf[:])
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	if err != nil && int64(n) < s.left {
		n = 0 // nothing has been sent yet, so that finish can answer with an error
	}
	for {
		if n > 0 {
			if err := s.write(buf[:n]); err != nil {
				return sent, err
			}
			sent += int64(n)
			s.left -= int64(n)
		}
		if err != nil {
			break
		}
		n, err = src.Read(buf[:])
	}
	if !errors.Is(err, io.EOF) {
		s.readErr = err
		return sent, err
	}
	return sent, nil
}

// write sends b and extends the write deadline as the client reads.
func (s *sender) write(b []byte) error {
	s.writeHeader()
	for len(b) > 0 {
		// The writers of tests have no deadlines.
		if now := time.Now(); now.Sub(s.extended) > s.idleTimeout/60 {
			s.extended = now
			_ = s.control.SetWriteDeadline(now.Add(s.idleTimeout))
		}
		n := min(len(b), writeChunk)
		if _, err := s.w.Write(b[:n]); err != nil {
			s.left = 0 // the client has disconnected and needs no more
			return err
		}
		b = b[n:]
	}
	return nil
}

func (s *sender) writeHeader() {
	if !s.answered {
		s.answered = true
		s.w.WriteHeader(s.status)
	}
}

// finish ends the reply after ServeContent. If the content ended early, it answers with an error, or, if
// the header has been written already, panics with http.ErrAbortHandler, so that the client does not take
// a part of the file for the whole.
func (s *sender) finish(ctx context.Context) {
	if s.readErr == nil && s.left == 0 {
		s.writeHeader()
		return
	}
	err := s.readErr
	if err == nil {
		e := core.Unavailable("The content of file %q cannot be read at the moment. Try again.", s.file.ID)
		e.Err = fmt.Errorf("%w, %d bytes too early", io.ErrUnexpectedEOF, s.left)
		err = e
	}
	if !s.answered {
		s.w.Header().Del("Content-Range")
		s.fail(api.NewErrorReply(err, s.req.ID))
		return
	}
	s.req.Err = err
	if ctx.Err() == nil {
		s.api.Logger().ErrorContext(ctx, "aborted a download", "request_id", s.req.ID, "file_id", s.file.ID,
			"missing_bytes", s.left, "error", err)
	}
	panic(http.ErrAbortHandler)
}

// fail answers with an error, without the headers of a file.
func (s *sender) fail(e *api.ErrorReply) {
	s.answered = true
	h := s.w.Header()
	for _, name := range []string{"Accept-Ranges", "Content-Disposition", "Content-Length", "ETag", "Last-Modified"} {
		h.Del(name)
	}
	s.api.SetHeaders(h, s.req.ID)
	api.WriteReply(s.w, s.req, e)
}

// rangeNotSatisfiable returns the reply to a Range that the file does not have. It has status 416 and the
// code VALIDATION_ERROR, because the contract has no other code for it.
func rangeNotSatisfiable(size int64, requestID string) *api.ErrorReply {
	e := api.NewErrorReply(core.Invalid("Range", "Must be within the file, such as bytes=0-1023. The file has %d bytes.",
		size), requestID)
	e.SetStatus(http.StatusRequestedRangeNotSatisfiable)
	return e
}

// lockedContent allows closing the content while ServeContent, which reads several ranges in a goroutine,
// may still be reading it.
type lockedContent struct {
	mu      sync.Mutex
	content io.ReadSeekCloser
}

func (c *lockedContent) Read(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.content.Read(b)
}

func (c *lockedContent) Seek(offset int64, whence int) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.content.Seek(offset, whence)
}

func (c *lockedContent) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.content.Close()
}
