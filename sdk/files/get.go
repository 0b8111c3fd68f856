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

// Get implements Backend. The reader ends the call on the plugin's side when it
// is closed; it is an io.WriterTo, so io.Copy spares a copy.
func (c *Client) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if err := text(key); err != nil {
		return nil, err
	}
	callCtx, cut := context.WithCancel(ctx)
	stream, err := c.rpc.Get(callCtx, &filesv1.GetRequest{Key: key, Offset: offset, Length: length})
	if err != nil {
		cut()
		return nil, wire.FromCall(ctx, err)
	}
	r := &getReader{ctx: ctx, cut: cut, stream: stream, left: -1}
	if length > 0 {
		r.left = length
	}
	// The first message tells whether the key is there.
	r.next()
	if r.err != nil && !errors.Is(r.err, io.EOF) {
		cut()
		return nil, r.err
	}
	return r, nil
}

type getReader struct {
	ctx    context.Context
	cut    context.CancelFunc
	stream grpc.ServerStreamingClient[filesv1.GetResponse]
	// left is how many bytes may come; -1 when any may.
	left   int64
	data   []byte
	err    error
	closed atomic.Bool
}

// next takes a message into data, or sets err.
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

func (r *getReader) count() {
	if r.left < 0 {
		return
	}
	r.left -= int64(len(r.data))
	if r.left < 0 {
		r.data, r.err = nil, mistake("the plugin gave more bytes than it was asked for")
	}
}

var errClosed = &sdk.Error{Code: sdk.CodeCancelled, Message: "the reader is closed"}

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

// Close may be called while another goroutine reads.
func (r *getReader) Close() error {
	r.closed.Store(true)
	r.cut()
	return nil
}
