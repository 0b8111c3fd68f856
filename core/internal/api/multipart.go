package api

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
	// maxPartHeaders is how many bytes may stand between the contents of two
	// parts, and after the last one.
	maxPartHeaders = 16 << 10
	// maxBoundary is RFC 2046's, and what Go's reader can find.
	maxBoundary = 70
	// readAhead is what Go's reader asks for at a time.
	readAhead = 4 << 10
	// bodyBuffer is what is read of a connection at a time.
	bodyBuffer = 64 << 10
)

// form reads an upload's parts in the order they come, none of them whole. As a
// reader it gives the file's bytes; its io.EOF says that all that follows them
// was right, too, and any other error is a core.Error.
type form struct {
	upload   *core.Upload
	body     *patient
	source   *bufio.Reader
	gate     *gate
	parts    *multipart.Reader
	file     *multipart.Part
	metadata bool
	ended    error
}

// openForm reads up to the file's bytes.
func openForm(r *http.Request, body *patient) (*form, error) {
	boundary, err := boundaryOf(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, err
	}
	f := &form{upload: &core.Upload{Metadata: json.RawMessage("{}")}, body: body, source: bufio.NewReaderSize(body, bodyBuffer)}
	// The last boundary may lack its line break. With one, Go's reader says
	// io.EOF for that boundary alone, and not for a body that ends in headers.
	f.gate = &gate{r: io.MultiReader(f.source, strings.NewReader("\r\n"), cut{})}
	f.parts = multipart.NewReader(f.gate, boundary)
	f.upload.Body = f
	return f, f.toFile()
}

func boundaryOf(header string) (string, error) {
	media, params, err := mime.ParseMediaType(header)
	if media != "multipart/form-data" {
		return "", &core.Error{
			Code: core.CodeUnsupportedMediaType, Message: fmt.Sprintf("The body is sent as %q; send Content-Type: multipart/form-data, as curl -F does", header),
		}
	}
	b := params["boundary"]
	if err != nil || b == "" || len(b) > maxBoundary {
		return "", core.Invalid("Content-Type", "Must name the boundary, of 1 to %d characters: multipart/form-data; boundary=…; HTTP clients do that when they make the form themselves", maxBoundary)
	}
	return b, nil
}

func (f *form) toFile() error {
	for {
		p, name, err := f.next()
		switch {
		case errors.Is(err, io.EOF):
			return core.Invalid("file", "Field is required: send the bytes as a part named file, with a filename")
		case err != nil:
			return err
		case name == "file":
			f.file = p
			return nil
		}
	}
}

// next gives the next part and its name; metadata, it has read. After the last
// one it gives io.EOF.
func (f *form) next() (*multipart.Part, string, error) {
	f.gate.left = maxPartHeaders
	f.gate.limited = true
	p, err := f.parts.NextRawPart()
	f.gate.limited = false
	if errors.Is(err, io.EOF) {
		return nil, "", io.EOF
	}
	if err != nil {
		return nil, "", f.fault(err)
	}
	params, err := disposition(p)
	if err != nil {
		return nil, "", err
	}
	name := params["name"]
	switch {
	case name == "file" && f.file != nil:
		return nil, "", core.Invalid("file", "Is there twice: send each file in an upload of its own")
	case name == "file":
		err = f.named(params)
	case name == "metadata" && f.metadata:
		return nil, "", core.Invalid("metadata", "Is there twice: send one JSON object")
	case name == "metadata":
		err = f.readMetadata(p)
	default:
		err = unknownPart(name)
	}
	return p, name, err
}

// disposition gives what a part's headers say of it.
func disposition(p *multipart.Part) (map[string]string, error) {
	header := p.Header.Get("Content-Disposition")
	media, params, err := mime.ParseMediaType(header)
	switch {
	case err != nil && strings.ContainsFunc(header, unicode.IsControl):
		return nil, core.Invalid("file", "The file's name must not contain control characters (NUL, line breaks, tabs): take them out")
	case err != nil || media != "form-data":
		return nil, core.Invalid("body", `Each part needs a header like Content-Disposition: form-data; name="file"; filename="report.pdf"`)
	}
	switch e := p.Header.Get("Content-Transfer-Encoding"); strings.ToLower(e) {
	case "", "7bit", "8bit", "binary":
		return params, nil
	default:
		return nil, core.Invalid("body", "A part is sent with Content-Transfer-Encoding: %s; send the bytes as they are, without that header", e)
	}
}

func unknownPart(name string) error {
	field := name
	if name == "" || len(name) > maxFileName {
		field = "body"
	}
	return core.Invalid(field, "Unknown part: there are file and metadata")
}

func (f *form) named(params map[string]string) error {
	given, ok := params["filename"]
	if !ok {
		return core.Invalid("file", "Must have a filename: send the part with filename=\"report.pdf\", as curl -F file=@report.pdf does")
	}
	name, err := fileName("file", given)
	f.upload.Name = name
	return err
}

func (f *form) readMetadata(p *multipart.Part) error {
	f.metadata = true
	b, err := io.ReadAll(io.LimitReader(p, maxMetadata+1))
	if err != nil {
		return f.fault(err)
	}
	f.upload.Metadata, err = checkMetadata(b)
	return err
}

// Read implements io.Reader.
func (f *form) Read(p []byte) (int, error) {
	if f.ended != nil {
		return 0, f.ended
	}
	n, err := f.file.Read(p)
	// Go's reader gives little at a time: what is there already comes with it.
	for err == nil && n < len(p) && f.source.Buffered() >= readAhead {
		var more int
		more, err = f.file.Read(p[n:])
		n += more
	}
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF):
		f.ended = f.rest()
	default:
		f.ended = f.fault(err)
	}
	return n, f.ended
}

// rest reads what follows the file, and gives io.EOF when it is right.
func (f *form) rest() error {
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
		return core.Invalid("body", "Goes on after its last boundary: end it there")
	case !errors.Is(err, io.EOF):
		return f.fault(err)
	default:
		return io.EOF
	}
}

// fault says why the parts can't be read.
func (f *form) fault(err error) error {
	var e *core.Error
	var malformed textproto.ProtocolError
	switch {
	case f.gate.err != nil:
		return f.gate.err // Go's reader may have made something else of it
	case errors.Is(f.body.err, os.ErrDeadlineExceeded):
		e = core.Invalid("body", "Stopped coming for %s: send it again", f.body.patience)
	case f.body.err != nil, errors.Is(err, io.ErrUnexpectedEOF):
		e = core.Invalid("body", "Ended before its last boundary: send it again, whole")
	case errors.As(err, &malformed):
		e = core.Invalid(f.awaited(), "The part's headers are malformed: each is a line, and the file's name must not contain control characters (NUL, line breaks)")
	default:
		e = core.Invalid("body", "Must be multipart/form-data with the boundary that Content-Type names")
	}
	e.Err = err
	return e
}

// awaited is the part that is likely to come next.
func (f *form) awaited() string {
	if f.file != nil {
		return "metadata"
	}
	return "file"
}

// gate bounds what is read at one time of what is no content, for Go's reader
// would take 10 MB of headers.
type gate struct {
	r       io.Reader
	limited bool
	left    int
	// err is set when the bound was hit.
	err error
}

func (g *gate) Read(p []byte) (int, error) {
	if !g.limited {
		return g.r.Read(p)
	}
	if g.left == 0 {
		g.err = &core.Error{
			Code:    core.CodePayloadTooLarge,
			Message: fmt.Sprintf("The headers of a part are over the limit of %d bytes, or the boundary is not the one that Content-Type names", maxPartHeaders),
		}
		return 0, g.err
	}
	n, err := g.r.Read(p[:min(len(p), g.left)])
	g.left -= n
	return n, err
}

// cut ends a body that should have ended before.
type cut struct{}

func (cut) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// patient reads a body as long as something comes.
type patient struct {
	body     io.Reader
	control  *http.ResponseController
	patience time.Duration
	renewed  time.Time
	// err is what the body ended with, unless that was its end.
	err error
}

func (p *patient) Read(b []byte) (int, error) {
	// Test writers have no deadline.
	if now := time.Now(); now.Sub(p.renewed) > p.patience/60 {
		p.renewed = now
		_ = p.control.SetReadDeadline(now.Add(p.patience))
	}
	n, err := p.body.Read(b)
	if errors.Is(err, io.EOF) {
		// From here on the server listens for the client to leave: a deadline
		// would end the request's context.
		_ = p.control.SetReadDeadline(time.Time{})
	} else if err != nil {
		p.err = err
	}
	return n, err
}
