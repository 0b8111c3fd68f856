package remote

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/agentarea/agentarea/sdk"
)

// unzip makes res return the decompressed body if the server has compressed it with gzip. Some servers do so although
// the client does not ask for it.
func unzip(res *http.Response) {
	if !strings.EqualFold(strings.TrimSpace(res.Header.Get("Content-Encoding")), "gzip") {
		return
	}
	res.Header.Del("Content-Encoding")
	res.Header.Del("Content-Length")
	res.ContentLength = -1
	res.Body = &gzipBody{compressed: res.Body}
}

// gzipBody reads the gzip header with the first Read, so that the request does not wait for it.
type gzipBody struct {
	compressed io.ReadCloser
	plain      *gzip.Reader
}

func (b *gzipBody) Read(p []byte) (int, error) {
	if b.plain == nil {
		plain, err := gzip.NewReader(b.compressed)
		if err != nil {
			return 0, err
		}
		b.plain = plain
	}
	return b.plain.Read(p)
}

func (b *gzipBody) Close() error { return b.compressed.Close() }

// stallBody fails when the server sends nothing for the stall timeout.
type stallBody struct {
	io.ReadCloser
	server  *Server
	timer   *time.Timer
	stalled atomic.Bool
}

// watchStall makes the body fail with CodeTimeout if the server sends nothing for the stall timeout.
func (s *Server) watchStall(res *http.Response) {
	if s.stallTimeout <= 0 {
		return
	}
	b := &stallBody{ReadCloser: res.Body, server: s}
	b.timer = time.AfterFunc(s.stallTimeout, func() {
		b.stalled.Store(true)
		_ = b.ReadCloser.Close()
	})
	b.timer.Stop()
	res.Body = b
}

func (b *stallBody) Read(p []byte) (int, error) {
	b.timer.Reset(b.server.stallTimeout) // runs during a Read only, because the reader may be slow
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop()
	if err != nil && b.stalled.Load() && !errors.Is(err, io.EOF) {
		return n, &sdk.Error{
			Code: sdk.CodeTimeout, Retryable: true,
			Message: b.server.Host + " sent nothing for " + b.server.stallTimeout.String() +
				" in the middle of an answer; see stall_timeout in plugins.hcl",
		}
	}
	return n, err
}

func (b *stallBody) Close() error {
	b.timer.Stop()
	return b.ReadCloser.Close()
}
