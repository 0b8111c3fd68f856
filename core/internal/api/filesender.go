package api

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
)

const (
	// copyBuffer is how much of a file is read at a time, and writeAtOnce how
	// much of that is written between two looks at the clock.
	copyBuffer  = 256 << 10
	writeAtOnce = 64 << 10
)

var copyBuffers = sync.Pool{New: func() any { return new([copyBuffer]byte) }}

// fileSender stands between http.ServeContent and the client. It holds back the
// header until there are bytes to follow it, so that a backend that fails at
// once is still told as an error; it writes errors as the contract has them; and
// it cuts the connection when the bytes end too early.
type fileSender struct {
	api     *api
	file    *core.File
	w       http.ResponseWriter
	r       *http.Request
	req     *request
	control *http.ResponseController
	renewed time.Time
	// status is what ServeContent has decided on, 0 until then.
	status int
	// answered says that the header is on its way.
	answered bool
	// broken is why the file could not be read, left what of it was to come.
	broken error
	left   int64
}

// Header implements http.ResponseWriter.
func (s *fileSender) Header() http.Header { return s.w.Header() }

// WriteHeader implements http.ResponseWriter.
func (s *fileSender) WriteHeader(status int) {
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
		s.answer()
	case status == http.StatusPreconditionFailed:
		s.fail(reply(changedMeanwhile("file"), s.req.id))
	case status == http.StatusRequestedRangeNotSatisfiable:
		s.w.Header().Set("Content-Range", fmt.Sprintf("bytes */%d", s.file.Size))
		s.fail(noSuchRange(s.file.Size, s.req.id))
	default:
		s.fail(reply(fmt.Errorf("serve a file: status %d", status), s.req.id))
	}
}

// Write implements io.Writer. ServeContent writes with it what is no content:
// the text of an error, in whose place there is ours.
func (s *fileSender) Write(b []byte) (int, error) { return len(b), nil }

// ReadFrom implements io.ReaderFrom.
func (s *fileSender) ReadFrom(src io.Reader) (int64, error) {
	buf, _ := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(buf)
	var sent int64
	// The first bytes of several ranges are a header: the file's own come with them.
	n, err := io.ReadFull(src, buf[:])
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	if err != nil && int64(n) < s.left {
		n = 0 // nothing of it is sent: it can still be told as an error
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
		s.broken = err
		return sent, err
	}
	return sent, nil
}

func (s *fileSender) write(b []byte) error {
	s.answer()
	for len(b) > 0 {
		// Test writers have no deadline.
		if now := time.Now(); now.Sub(s.renewed) > s.api.patience/60 {
			s.renewed = now
			_ = s.control.SetWriteDeadline(now.Add(s.api.patience))
		}
		n := min(len(b), writeAtOnce)
		if _, err := s.w.Write(b[:n]); err != nil {
			s.left = 0 // the client is gone: nobody misses the rest
			return err
		}
		b = b[n:]
	}
	return nil
}

func (s *fileSender) answer() {
	if !s.answered {
		s.answered = true
		s.w.WriteHeader(s.status)
	}
}

// finish ends the answer when ServeContent has done with it. It panics when a
// part of the file would else be taken for the whole.
func (s *fileSender) finish(ctx context.Context) {
	if s.broken == nil && s.left == 0 {
		s.answer()
		return
	}
	err := s.broken
	if err == nil {
		e := core.Unavailable("The bytes of the file %q can't be read just now: try again", s.file.ID)
		e.Err = fmt.Errorf("%w, %d bytes too early", io.ErrUnexpectedEOF, s.left)
		err = e
	}
	if !s.answered {
		s.w.Header().Del("Content-Range")
		s.fail(reply(err, s.req.id))
		return
	}
	s.req.err = err
	if ctx.Err() == nil {
		s.api.log.ErrorContext(ctx, "a download was cut", "request_id", s.req.id, "file_id", s.file.ID, "missing_bytes", s.left, "error", err)
	}
	panic(http.ErrAbortHandler)
}

// fail answers with an error, without the headers of a file.
func (s *fileSender) fail(e *errorReply) {
	s.answered = true
	h := s.w.Header()
	for _, name := range []string{"Accept-Ranges", "Content-Disposition", "Content-Length", "ETag", "Last-Modified"} {
		h.Del(name)
	}
	s.api.setHeaders(h, s.req.id)
	writeReply(s.w, s.req, e)
}

// noSuchRange is the answer to a Range that the file does not have; the
// contract has no code of its own for it.
func noSuchRange(size int64, requestID string) *errorReply {
	e := reply(core.Invalid("Range", "Must name bytes that the file has, like bytes=0-1023; it has %d", size), requestID)
	e.status = http.StatusRequestedRangeNotSatisfiable
	return e
}

// oneAtATime lets a file be closed while ServeContent, which has several ranges
// read on the side, may still read it.
type oneAtATime struct {
	mu      sync.Mutex
	content io.ReadSeekCloser
}

func (o *oneAtATime) Read(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.content.Read(b)
}

func (o *oneAtATime) Seek(offset int64, whence int) (int64, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.content.Seek(offset, whence)
}

func (o *oneAtATime) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.content.Close()
}
