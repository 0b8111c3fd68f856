package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Time is a time in the API's format: RFC 3339 in UTC with microseconds, so that a client can send it
// back as a cursor.
type Time time.Time

const timeFormat = "2006-01-02T15:04:05.000000Z"

// ExampleTime is the time in the examples of the OpenAPI document.
var ExampleTime = Time(time.Date(2025, 1, 31, 12, 0, 0, 123456000, time.UTC))

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) {
	b := make([]byte, 0, len(timeFormat)+2)
	b = append(b, '"')
	b = time.Time(t).UTC().AppendFormat(b, timeFormat)
	return append(b, '"'), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Time) UnmarshalJSON(b []byte) error { return (*time.Time)(t).UnmarshalJSON(b) }

// Schema implements huma.SchemaProvider.
func (Time) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "date-time"}
}

// OptionalTime returns nil for the zero time, so that JSON omits the field.
func OptionalTime(t time.Time) *Time {
	if t.IsZero() {
		return nil
	}
	v := Time(t)
	return &v
}

// Object is a JSON object that is kept as it was written. Its numbers keep every digit.
type Object json.RawMessage

// MarshalJSON implements json.Marshaler. An empty Object is {}.
func (o Object) MarshalJSON() ([]byte, error) {
	if len(o) == 0 {
		return []byte("{}"), nil
	}
	return o, nil
}

// UnmarshalJSON implements json.Unmarshaler. It fails for a value that is not an object or null.
func (o *Object) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	if len(b) == 0 || b[0] != '{' {
		return errors.New("not an object")
	}
	*o = append((*o)[:0], b...)
	return nil
}

// Schema implements huma.SchemaProvider.
func (Object) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}
}

// OrEmpty returns s, or an empty list for nil, so that JSON has [] instead of null.
func OrEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// maxReusedBuffer is the capacity in bytes up to which a buffer is reused.
const maxReusedBuffer = 64 << 10

// buffers are the buffers in which replies are assembled.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func releaseBuffer(buf *bytes.Buffer) {
	if buf.Cap() <= maxReusedBuffer {
		buf.Reset()
		buffers.Put(buf)
	}
}

// EncodeJSON writes v as JSON without HTML escapes. It fails only for a value that JSON cannot
// represent: a failed write means that the client has disconnected, which is not the handler's error.
func EncodeJSON(w io.Writer, v any) error {
	buf, _ := buffers.Get().(*bytes.Buffer)
	defer releaseBuffer(buf)
	e := json.NewEncoder(buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, _ = w.Write(buf.Bytes())
	return nil
}
