package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	// maxDepth is how deep JSON may nest.
	maxDepth = 64
	// bodyTimeout is how long a body may take to arrive.
	bodyTimeout = 30 * time.Second
)

// checkText refuses parameters that no text can hold: NUL and broken UTF-8.
func (a *api) checkText(ctx huma.Context, next func(huma.Context)) {
	for _, p := range ctx.Operation().Parameters {
		var v string
		switch p.In {
		case "path":
			v = ctx.Param(p.Name)
		case "query":
			v = ctx.Query(p.Name)
		default:
			continue
		}
		if issue := textIssue(v); issue != "" {
			a.fail(ctx, core.Invalid(p.Name, "%s", issue))
			return
		}
	}
	next(ctx)
}

func textIssue(s string) string {
	switch {
	case strings.IndexByte(s, 0) >= 0:
		return "Must not contain a NUL character"
	case !utf8.ValidString(s):
		return "Must be valid UTF-8"
	default:
		return ""
	}
}

// readBody reads the body of an operation that takes one whole, and checks what
// Huma does not: the media type, the size, the depth, and NUL in any string.
func (a *api) readBody(ctx huma.Context, next func(huma.Context)) {
	op := ctx.Operation()
	if op.RequestBody == nil {
		next(ctx)
		return
	}
	r, w := humachi.Unwrap(ctx)
	if err := checkEncoding(r.Header.Get("Content-Encoding")); err != nil {
		a.fail(ctx, err)
		return
	}
	body, err := a.receive(w, r)
	if err == nil && len(body) > 0 {
		err = errors.Join(checkMediaType(r.Header.Get("Content-Type"), op), checkJSON(body, ""))
	}
	if err != nil {
		a.fail(ctx, err)
		return
	}
	// Huma knows JSON by one name only.
	r.Header.Set("Content-Type", "application/json")
	r.Body = io.NopCloser(bytes.NewReader(body))
	next(ctx)
}

func (a *api) receive(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > a.maxBody {
		return nil, tooLarge(a.maxBody)
	}
	// A deadline that stays on the connection would end a stream's context, so
	// it is taken off again. Test writers have none.
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Now().Add(bodyTimeout))
	defer func() { _ = c.SetReadDeadline(time.Time{}) }()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, a.maxBody))
	var tooLong *http.MaxBytesError
	if err != nil && !errors.As(err, &tooLong) {
		return nil, core.Invalid("body", "Could not be read whole")
	}
	return body, err
}

// checkEncoding refuses what is packed: how much it is would show too late.
func checkEncoding(header string) error {
	if header == "" || strings.EqualFold(header, "identity") {
		return nil
	}
	return &core.Error{
		Code:    core.CodeUnsupportedMediaType,
		Message: fmt.Sprintf("The body is sent with Content-Encoding: %s; send it as it is, without that header", header),
	}
}

func checkMediaType(header string, op *huma.Operation) error {
	if header == "" {
		return nil
	}
	media, _, err := mime.ParseMediaType(header)
	if _, ok := op.RequestBody.Content[media]; ok && err == nil {
		return nil
	}
	var known []string
	for name := range op.RequestBody.Content {
		known = append(known, name)
	}
	slices.Sort(known)
	return &core.Error{
		Code:    core.CodeUnsupportedMediaType,
		Message: fmt.Sprintf("The body is sent as %q; send Content-Type: %s", header, strings.Join(known, " or ")),
	}
}

// checkJSON refuses what is not JSON, nests too deep or has NUL in a string. root
// is the path of the field that the JSON is, empty for the body itself.
func checkJSON(body []byte, root string) error {
	if depth(body) > maxDepth {
		return &core.Error{
			Code: core.CodePayloadTooLarge, Message: fmt.Sprintf("The request body nests deeper than %d levels", maxDepth),
		}
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
	return nil
}

func depth(body []byte) int {
	deepest, now, inString := 0, 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			now++
			deepest = max(deepest, now)
		case c == '}' || c == ']':
			now--
		}
	}
	return deepest
}

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
	return core.Invalid(orBody(root), "Must be valid JSON; line %d, column %d: %s", line, column, s.Error())
}

// findNUL names the field whose text, or whose name, holds a NUL.
func findNUL(body []byte, root string) error {
	var v any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return core.Invalid(orBody(root), "Must be valid JSON")
	}
	if field, ok := nulIn(v, root); ok {
		return core.Invalid(field, "Must not contain a NUL character")
	}
	return nil
}

func nulIn(v any, path string) (string, bool) {
	switch v := v.(type) {
	case string:
		if strings.IndexByte(v, 0) >= 0 {
			return orBody(path), true
		}
	case []any:
		for i, e := range v {
			if f, ok := nulIn(e, path+"["+strconv.Itoa(i)+"]"); ok {
				return f, true
			}
		}
	case map[string]any:
		for k, e := range v {
			if strings.IndexByte(k, 0) >= 0 {
				return orBody(path), true
			}
			if f, ok := nulIn(e, joinPath(path, k)); ok {
				return f, true
			}
		}
	}
	return "", false
}

func joinPath(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func orBody(path string) string {
	if path == "" {
		return "body"
	}
	return path
}
