package files

import (
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"

	filesv1 "github.com/agentarea/agentarea/sdk/proto/files/v1"
)

// putReader reads the bytes of a Put. The host's end of the stream is the word
// to keep them: without it there is an error, and no io.EOF.
type putReader struct {
	stream grpc.ClientStreamingServer[filesv1.PutRequest, filesv1.PutResponse]
	// size is how many bytes were announced; -1 when unknown.
	size int64
	// taken is how many have come.
	taken int64
	data  []byte
	err   error
}

func newPutReader(stream grpc.ClientStreamingServer[filesv1.PutRequest, filesv1.PutResponse], size int64) *putReader {
	r := &putReader{stream: stream, size: size}
	if size == 0 {
		r.end()
	}
	return r
}

// next takes a message into data, or sets err. A backend that knows the size may
// stop at it, so the last bytes are held until the stream has ended well.
func (r *putReader) next() {
	for r.err == nil && len(r.data) == 0 {
		r.data, r.err = r.receive()
		if r.err == nil && r.taken == r.size && len(r.data) > 0 {
			r.end()
		}
	}
}

// end waits for the end of the stream after the last byte that was announced.
func (r *putReader) end() {
	var more []byte
	for r.err == nil && len(more) == 0 {
		more, r.err = r.receive()
	}
	if !errors.Is(r.err, io.EOF) {
		r.data = nil
	}
}

func (r *putReader) receive() ([]byte, error) {
	m, err := r.stream.Recv()
	if errors.Is(err, io.EOF) {
		if r.taken < r.size {
			return nil, invalid(fmt.Sprintf("%d bytes were announced, and %d came", r.size, r.taken))
		}
		return nil, io.EOF
	}
	if err != nil {
		return nil, err
	}
	if m.GetOpen() != nil {
		return nil, invalid("a Put has one open message")
	}
	r.taken += int64(len(m.GetData()))
	if r.size >= 0 && r.taken > r.size {
		return nil, invalid(fmt.Sprintf("%d bytes were announced, and more came", r.size))
	}
	return m.GetData(), nil
}

func (r *putReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	r.next()
	if len(r.data) == 0 {
		return 0, r.err
	}
	n := copy(p, r.data)
	r.data = r.data[n:]
	return n, nil
}

// WriteTo gives w each message's bytes as they are.
func (r *putReader) WriteTo(w io.Writer) (n int64, err error) {
	for {
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
