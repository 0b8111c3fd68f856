package files

import (
	"context"
	"errors"
	"io"
	"sync/atomic"

	"google.golang.org/grpc"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/internal/wire"
	filesv1 "github.com/agentarea/agentarea/sdk/proto/files/v1"
)

// Get implements Backend. Closing the reader cancels the call. The reader implements io.WriterTo, so
// that io.Copy does not need a buffer.
func (c *Client) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if err := checkUTF8(key); err != nil {
		return nil, err
	}
	callCtx, cancel := context.WithCancel(ctx)
	stream, err := c.rpc.Get(callCtx, &filesv1.GetRequest{Key: key, Offset: offset, Length: length})
	if err != nil {
		cancel()
		return nil, wire.FromCall(ctx, err)
	}
	r := &getReader{ctx: ctx, cancel: cancel, stream: stream, left: -1}
	if length > 0 {
		r.left = length
	}
	// The first message shows whether the key exists.
	r.next()
	if r.err != nil && !errors.Is(r.err, io.EOF) {
		cancel()
		return nil, r.err
	}
	return r, nil
}

// getReader reads the content of an object from the stream of a Get.
type getReader struct {
	ctx    context.Context
	cancel context.CancelFunc
	stream grpc.ServerStreamingClient[filesv1.GetResponse]
	// left is the maximum number of bytes that the plugin may still send, or -1 if there is no limit.
	left   int64
	data   []byte
	err    error
	closed atomic.Bool
}

// next receives messages until data is not empty or err is set.
func (r *getReader) next() {
	for r.err == nil && len(r.data) == 0 {
		m, err := r.stream.Recv()
		switch {
		case err == nil:
			r.data = m.GetData()
			r.count()
		case r.closed.Load():
			r.err = errClosed
		case errors.Is(err, io.EOF):
			r.err = io.EOF
		default:
			r.err = wire.FromCall(r.ctx, err)
		}
	}
}

// count enforces the requested length.
func (r *getReader) count() {
	if r.left < 0 {
		return
	}
	r.left -= int64(len(r.data))
	if r.left < 0 {
		r.data, r.err = nil, internalError("the plugin sent more bytes than requested")
	}
}

var errClosed = &sdk.Error{Code: sdk.CodeCancelled, Message: "the reader is closed"}

// Read implements io.Reader.
func (r *getReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if r.closed.Load() {
		return 0, errClosed
	}
	r.next()
	if len(r.data) == 0 {
		return 0, r.err
	}
	n := copy(p, r.data)
	r.data = r.data[n:]
	return n, nil
}

// WriteTo implements io.WriterTo.
func (r *getReader) WriteTo(w io.Writer) (n int64, err error) {
	for {
		if r.closed.Load() {
			return n, errClosed
		}
		r.next()
		if len(r.data) == 0 {
			if errors.Is(r.err, io.EOF) {
				return n, nil
			}
			return n, r.err
		}
		m, err := w.Write(r.data)
		n += int64(m)
		r.data = r.data[m:]
		if err != nil {
			return n, err
		}
	}
}

// Close cancels the call. It may be called while another goroutine reads.
func (r *getReader) Close() error {
	r.closed.Store(true)
	r.cancel()
	return nil
}
