package files

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/agentarea/agentarea/core"
)

const (
	// maxPartHeaders is the maximum number of bytes between the contents of two parts, and after the
	// last one.
	maxPartHeaders = 16 << 10
	// maxBoundary is the maximum length of a boundary in RFC 2046, which is also the limit that
	// multipart.Reader supports.
	maxBoundary = 70
	// readAhead is the number of bytes that multipart.Reader reads at a time.
	readAhead = 4 << 10
	// bodyBuffer is the number of bytes that are read from a connection at a time.
	bodyBuffer = 64 << 10
)

// form reads the parts of an upload in the order in which they arrive, without keeping the file in memory.
// As an io.Reader it returns the content of the file. Its io.EOF means that everything after the content
// was valid, too; any other error is a core.Error.
type form struct {
	upload   *core.Upload
	body     *idleTimeoutReader
	source   *bufio.Reader
	limit    *headerLimit
	parts    *multipart.Reader
	file     *multipart.Part
	metadata bool
	// err is the result of the last Read.
	err error
}

// openForm reads the form up to the content of the file.
func openForm(r *http.Request, body *idleTimeoutReader) (*form, error) {
	boundary, err := boundaryOf(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, err
	}
	f := &form{
		upload: &core.Upload{Metadata: json.RawMessage("{}")}, body: body, source: bufio.NewReaderSize(body, bodyBuffer),
	}
	// The last boundary may lack its line break. With a line break, multipart.Reader returns io.EOF only
	// for that boundary, and not for a body that ends in headers.
	f.limit = &headerLimit{r: io.MultiReader(f.source, strings.NewReader("\r\n"), unexpectedEOF{})}
	f.parts = multipart.NewReader(f.limit, boundary)
	f.upload.Body = f
	return f, f.seekFile()
}

// boundaryOf returns the boundary of a Content-Type. It fails with UnsupportedMediaType or Invalid.
func boundaryOf(header string) (string, error) {
	media, params, err := mime.ParseMediaType(header)
	if media != "multipart/form-data" {
		e := &core.Error{
			Code:    core.CodeUnsupportedMediaType,
			Message: fmt.Sprintf("Content-Type %q is not supported. Send multipart/form-data, as curl -F does.", header),
		}
		return "", e.WithField("Content-Type")
	}
	b := params["boundary"]
	if err != nil || b == "" || len(b) > maxBoundary {
		return "", core.Invalid("Content-Type",
			"Must have a boundary of 1 to %d characters: multipart/form-data; boundary=…. HTTP clients set it when they "+
				"create the form.", maxBoundary)
	}
	return b, nil
}

// seekFile reads parts until the one with the file.
func (f *form) seekFile() error {
	for {
		p, name, err := f.next()
		switch {
		case errors.Is(err, io.EOF):
			return core.Invalid("file", "Field is required: send the content as a part named file, with a filename")
		case err != nil:
			return err
		case name == "file":
			f.file = p
			return nil
		}
	}
}

// next returns the next part and its name. It reads a metadata part. After the last part it returns
// io.EOF.
func (f *form) next() (*multipart.Part, string, error) {
	f.limit.left = maxPartHeaders
	f.limit.active = true
	p, err := f.parts.NextRawPart()
	f.limit.active = false
	if errors.Is(err, io.EOF) {
		return nil, "", io.EOF
	}
	if err != nil {
		return nil, "", f.readError(err)
	}
	params, err := disposition(p)
	if err != nil {
		return nil, "", err
	}
	name := params["name"]
	switch {
	case name == "file" && f.file != nil:
		return nil, "", core.Invalid("file", `Only one part named "file" is allowed. Upload each file in its own request.`)
	case name == "file":
		err = f.setName(params)
	case name == "metadata" && f.metadata:
		return nil, "", core.Invalid("metadata", `Only one part named "metadata" is allowed`)
	case name == "metadata":
		err = f.readMetadata(p)
	default:
		err = unknownPart(name)
	}
	return p, name, err
}

// disposition returns the parameters of a part's Content-Disposition. It fails with Invalid.
func disposition(p *multipart.Part) (map[string]string, error) {
	header := p.Header.Get("Content-Disposition")
	media, params, err := mime.ParseMediaType(header)
	switch {
	case err != nil && strings.ContainsFunc(header, unicode.IsControl):
		return nil, core.Invalid("file", "The filename must not contain control characters such as NUL, line breaks or tabs")
	case err != nil || media != "form-data":
		return nil, core.Invalid("body",
			`Each part must have a header such as Content-Disposition: form-data; name="file"; filename="report.pdf"`)
	}
	switch e := p.Header.Get("Content-Transfer-Encoding"); strings.ToLower(e) {
	case "", "7bit", "8bit", "binary":
		return params, nil
	default:
		return nil, core.Invalid("body", "Content-Transfer-Encoding %q is not supported. Send the part without it.", e)
	}
}

// maxPartName is the maximum length of a part's name that is repeated in an error.
const maxPartName = 255

func unknownPart(name string) error {
	field := name
	if name == "" || len(name) > maxPartName {
		field = "body"
	}
	return core.Invalid(field, "Unknown part. The parts of the form are file and metadata.")
}

// setName sets the name of the file. It fails with Invalid.
func (f *form) setName(params map[string]string) error {
	given, ok := params["filename"]
	if !ok {
		return core.Invalid("file",
			`Must have a filename: send the part with filename="report.pdf", as curl -F file=@report.pdf does`)
	}
	name, err := fileName("file", given)
	f.upload.Name = name
	return err
}

func (f *form) readMetadata(p *multipart.Part) error {
	f.metadata = true
	b, err := io.ReadAll(io.LimitReader(p, maxMetadata+1))
	if err != nil {
		return f.readError(err)
	}
	f.upload.Metadata, err = checkMetadata(b)
	return err
}

// Read implements io.Reader.
func (f *form) Read(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	n, err := f.file.Read(p)
	// multipart.Reader returns little at a time, so read on while data is buffered.
	for err == nil && n < len(p) && f.source.Buffered() >= readAhead {
		var more int
		more, err = f.file.Read(p[n:])
		n += more
	}
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF):
		f.err = f.readRest()
	default:
		f.err = f.readError(err)
	}
	return n, f.err
}

// readRest reads the form after the file. It returns io.EOF if the rest is valid.
func (f *form) readRest() error {
	for {
		if _, _, err := f.next(); err != nil && !errors.Is(err, io.EOF) {
			return err
		} else if err != nil {
			break
		}
	}
	n, err := io.CopyN(io.Discard, f.source, maxPartHeaders)
	switch {
	case n == maxPartHeaders:
		return core.Invalid("body", "The body must end after its last boundary")
	case !errors.Is(err, io.EOF):
		return f.readError(err)
	default:
		return io.EOF
	}
}

// readError returns the core.Error for an error of reading the parts.
func (f *form) readError(err error) error {
	var e *core.Error
	var malformed textproto.ProtocolError
	switch {
	case f.limit.err != nil:
		return f.limit.err // multipart.Reader may have replaced it
	case errors.Is(f.body.err, os.ErrDeadlineExceeded):
		e = core.Invalid("body", "No data arrived for %s. Upload the file again.", f.body.timeout)
	case f.body.err != nil, errors.Is(err, io.ErrUnexpectedEOF):
		e = core.Invalid("body", "The body ended before its last boundary. Upload the file again.")
	case errors.As(err, &malformed):
		e = core.Invalid(f.expectedPart(),
			"The headers of the part are malformed. Each must be one line, and the filename must not contain control "+
				"characters such as NUL or line breaks.")
	default:
		e = core.Invalid("body", "Must be multipart/form-data with the boundary of the Content-Type header")
	}
	e.Err = err
	return e
}

// expectedPart returns the name of the part that probably comes next.
func (f *form) expectedPart() string {
	if f.file != nil {
		return "metadata"
	}
	return "file"
}

// headerLimit limits the number of bytes that are read between contents, because multipart.Reader would
// accept headers of 10 MB.
type headerLimit struct {
	r      io.Reader
	active bool
	left   int
	// err is set when the limit was exceeded.
	err error
}

func (l *headerLimit) Read(p []byte) (int, error) {
	if !l.active {
		return l.r.Read(p)
	}
	if l.left == 0 {
		e := &core.Error{
			Code: core.CodePayloadTooLarge,
			Message: fmt.Sprintf("The headers of a part exceed the limit of %d bytes, or the boundary is not that of the "+
				"Content-Type header",
				maxPartHeaders),
		}
		l.err = e.WithField("body")
		return 0, l.err
	}
	n, err := l.r.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}

// unexpectedEOF follows the body, which should have ended before.
type unexpectedEOF struct{}

func (unexpectedEOF) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// idleTimeoutReader reads a body, and fails when nothing arrives for the timeout.
type idleTimeoutReader struct {
	body     io.Reader
	control  *http.ResponseController
	timeout  time.Duration
	extended time.Time
	// err is the error that the body ended with, other than io.EOF.
	err error
}

func (r *idleTimeoutReader) Read(b []byte) (int, error) {
	// The writers of tests have no deadlines.
	if now := time.Now(); now.Sub(r.extended) > r.timeout/60 {
		r.extended = now
		_ = r.control.SetReadDeadline(now.Add(r.timeout))
	}
	n, err := r.body.Read(b)
	if errors.Is(err, io.EOF) {
		// After the body, the server reads the connection to notice when the client disconnects. A
		// deadline would end the request's context.
		_ = r.control.SetReadDeadline(time.Time{})
	} else if err != nil {
		r.err = err
	}
	return n, err
}
