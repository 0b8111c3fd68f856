package files

import (
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"

	filesv1 "github.com/agentarea/agentarea/sdk/proto/files/v1"
)

// putReader reads the content of a Put from its stream. It returns io.EOF only if the host has closed
// the stream properly, which tells the backend to store the object.
type putReader struct {
	stream grpc.ClientStreamingServer[filesv1.PutRequest, filesv1.PutResponse]
	// size is the announced size in bytes, or -1 if it is unknown.
	size int64
	// received is the number of bytes received.
	received int64
	data     []byte
	err      error
}

func newPutReader(stream grpc.ClientStreamingServer[filesv1.PutRequest, filesv1.PutResponse], size int64) *putReader {
	r := &putReader{stream: stream, size: size}
	if size == 0 {
		r.end()
	}
	return r
}

// next receives messages until data is not empty or err is set. A backend that knows the size may stop
// reading there, so next returns the last bytes only after the host has closed the stream properly.
func (r *putReader) next() {
	for r.err == nil && len(r.data) == 0 {
		r.data, r.err = r.receive()
		if r.err == nil && r.received == r.size && len(r.data) > 0 {
			r.end()
		}
	}
}

// end waits for the end of the stream after the last announced byte.
func (r *putReader) end() {
	var more []byte
	for r.err == nil && len(more) == 0 {
		more, r.err = r.receive()
	}
	if !errors.Is(r.err, io.EOF) {
		r.data = nil
	}
}

// receive returns the data of the next message, and checks the announced size.
func (r *putReader) receive() ([]byte, error) {
	m, err := r.stream.Recv()
	if errors.Is(err, io.EOF) {
		if r.received < r.size {
			return nil, invalid(fmt.Sprintf("the host announced %d bytes but sent %d", r.size, r.received))
		}
		return nil, io.EOF
	}
	if err != nil {
		return nil, err
	}
	if m.GetOpen() != nil {
		return nil, invalid("only the first message of a Put can be open")
	}
	r.received += int64(len(m.GetData()))
	if r.size >= 0 && r.received > r.size {
		return nil, invalid(fmt.Sprintf("the host announced %d bytes but sent more", r.size))
	}
	return m.GetData(), nil
}

// Read implements io.Reader.
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

// WriteTo implements io.WriterTo. It writes the data of each message without copying it.
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
