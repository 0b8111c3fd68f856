package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/agentarea/agentarea/core"
)

const (
	// MaxJSONDepth is the maximum number of levels to which JSON may nest.
	MaxJSONDepth = 64
	// bodyTimeout is the maximum time for a body to arrive.
	bodyTimeout = 30 * time.Second
)

// bodyReader reads JSON bodies of at most maxBytes, and makes large requests wait for their slot.
type bodyReader struct {
	api      huma.API
	maxBytes int64
	budget   *bodyBudget
	// enterLarge waits for the slot of a large request.
	enterLarge func(context.Context) error
	// setKey keeps the Idempotency-Key of a request, whose hash includes the body.
	setKey func(r *http.Request, op *huma.Operation, body []byte) error
}

// read is the middleware that reads the body of an operation which has one, and checks what Huma
// does not: the media type, the size, the depth, and NUL in any string. A large request waits for its slot after its
// body has arrived, so that a slow client occupies none meanwhile.
func (b bodyReader) read(ctx huma.Context, next func(huma.Context)) {
	op := ctx.Operation()
	defer LeaveLarge(ctx.Context())
	r, w := humachi.Unwrap(ctx)
	if op.RequestBody == nil {
		err := b.setKey(r, op, nil)
		if err == nil {
			err = b.enter(ctx, 0)
		}
		if err != nil {
			writeHumaError(b.api, ctx, err)
			return
		}
		next(ctx)
		return
	}
	if err := rejectEncodedBody(r.Header.Get("Content-Encoding")); err != nil {
		writeHumaError(b.api, ctx, err)
		return
	}
	held := b.budget.body(r)
	defer held.release()
	r.Body = held
	body, err := b.receive(w, r)
	if err == nil {
		err = held.hold(decodedSize(body))
	}
	if err == nil {
		err = b.enter(ctx, len(body))
	}
	if err == nil && len(body) > 0 {
		err = errors.Join(checkMediaType(r.Header.Get("Content-Type"), op), CheckJSON(body, ""))
	}
	if err == nil {
		err = b.setKey(r, op, body)
	}
	if err != nil {
		writeHumaError(b.api, ctx, err)
		return
	}
	// Huma knows JSON by one media type only.
	r.Header.Set("Content-Type", "application/json")
	r.Body = io.NopCloser(bytes.NewReader(body))
	next(ctx)
}

// enter waits for the slot of a large request. It returns at once for other requests.
func (b bodyReader) enter(ctx huma.Context, bodySize int) error {
	if large, _ := ctx.Operation().Metadata[largeKey].(bool); !large && bodySize <= largeBody {
		return nil
	}
	return b.enterLarge(ctx.Context())
}

// receive returns the whole body.
func (b bodyReader) receive(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > b.maxBytes {
		return nil, bodyTooLarge(b.maxBytes)
	}
	// A deadline that stays on the connection would end the context of a stream, so it is removed
	// afterwards. The writers of tests have no deadlines.
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Now().Add(bodyTimeout))
	defer func() { _ = c.SetReadDeadline(time.Time{}) }()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, b.maxBytes))
	var tooLong *http.MaxBytesError
	if err != nil && !errors.As(err, &tooLong) && core.CodeOf(err) != core.CodeUnavailable {
		return nil, core.Invalid("body", "The body ended early or took longer than %s. Send it again.", bodyTimeout)
	}
	return body, err
}

// rejectEncodedBody returns an UnsupportedMediaType error for a body with a Content-Encoding, because
// its decoded size is unknown until it is read.
func rejectEncodedBody(header string) error {
	if header == "" || strings.EqualFold(header, "identity") {
		return nil
	}
	e := &core.Error{
		Code:    core.CodeUnsupportedMediaType,
		Message: fmt.Sprintf("Content-Encoding %q is not supported. Send the body without it.", header),
	}
	return e.WithField("Content-Encoding")
}

// checkMediaType returns an UnsupportedMediaType error if the operation does not accept the body's
// media type.
func checkMediaType(header string, op *huma.Operation) error {
	if header == "" {
		return nil
	}
	media, _, err := mime.ParseMediaType(header)
	if _, ok := op.RequestBody.Content[media]; ok && err == nil {
		return nil
	}
	return unsupportedMediaType(header, slices.Sorted(maps.Keys(op.RequestBody.Content))...)
}

func unsupportedMediaType(header string, known ...string) *core.Error {
	e := &core.Error{
		Code:    core.CodeUnsupportedMediaType,
		Message: fmt.Sprintf("Content-Type %q is not supported. Send %s.", header, strings.Join(known, " or ")),
	}
	return e.WithField("Content-Type")
}

// CheckJSON returns an error if body is not JSON, nests too deep, has NUL in a string or a number that
// is too long. root is the path of the field that contains the JSON, or empty for the request body itself.
func CheckJSON(body []byte, root string) error {
	if JSONDepth(body) > MaxJSONDepth {
		e := &core.Error{
			Code: core.CodePayloadTooLarge, Message: fmt.Sprintf("The request body nests deeper than %d levels", MaxJSONDepth),
		}
		return e.WithField(orBody(root))
	}
	if !json.Valid(body) {
		return syntaxError(body, root)
	}
	if !utf8.Valid(body) {
		return core.Invalid(orBody(root), "Must be valid UTF-8")
	}
	if bytes.Contains(body, []byte(`\u0000`)) {
		return findNUL(body, root)
	}
	return checkNumbers(body, root)
}

// JSONDepth returns how many levels deep a JSON text nests.
func JSONDepth(body []byte) int {
	deepest, level, inString := 0, 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			level++
			deepest = max(deepest, level)
		case c == '}' || c == ']':
			level--
		}
	}
	return deepest
}

// syntaxError returns the error that names the line and column of a JSON syntax error.
func syntaxError(body []byte, root string) error {
	var v any
	err := json.Unmarshal(body, &v)
	var s *json.SyntaxError
	if !errors.As(err, &s) {
		return core.Invalid(orBody(root), "Must be valid JSON")
	}
	before := body[:min(int(s.Offset), len(body))]
	line := 1 + bytes.Count(before, []byte("\n"))
	column := max(1, len(before)-1-bytes.LastIndexByte(before, '\n'))
	return core.Invalid(orBody(root), "Must be valid JSON. Line %d, column %d: %s", line, column, s.Error())
}

// findNUL returns the error that names the field whose value or name contains a NUL character.
func findNUL(body []byte, root string) error {
	if field, ok := findValue(body, root, hasNUL); ok {
		return core.Invalid(field, "Must not contain a NUL character")
	}
	return nil
}

// hasNUL reports whether a decoded JSON value is a string with a NUL character, or an object with one in
// a name.
func hasNUL(v any) bool {
	switch v := v.(type) {
	case string:
		return strings.IndexByte(v, 0) >= 0
	case map[string]any:
		for name := range v {
			if strings.IndexByte(name, 0) >= 0 {
				return true
			}
		}
	}
	return false
}

// findValue returns the path of the first value of body, which is valid JSON, for which match returns
// true. Numbers are decoded as json.Number.
func findValue(body []byte, root string, match func(any) bool) (path string, found bool) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return "", false
	}
	return findIn(v, root, match)
}

func findIn(v any, path string, match func(any) bool) (string, bool) {
	below, found := findBelow(v, match)
	if !found {
		return "", false
	}
	if path == "" {
		below = strings.TrimPrefix(below, ".")
	}
	return orBody(path + below), true
}

// findBelow returns the path from v to the first value that matches, such as .a[0]. It builds only the path of that
// value: with long names, the paths of all values can be many times as long as the body.
func findBelow(v any, match func(any) bool) (string, bool) {
	if match(v) {
		return "", true
	}
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			if p, ok := findBelow(e, match); ok {
				return "[" + strconv.Itoa(i) + "]" + p, true
			}
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if p, ok := findBelow(v[name], match); ok {
				return "." + name + p, true
			}
		}
	}
	return "", false
}

// joinPath returns the path of a field of the object at path.
func joinPath(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// orBody returns the path, or "body" for the root.
func orBody(path string) string {
	if path == "" {
		return "body"
	}
	return path
}
