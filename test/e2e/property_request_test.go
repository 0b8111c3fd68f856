package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"golang.org/x/net/http/httpguts"
	"pgregory.net/rapid"
)

// drawn is a random request.
type drawn struct {
	operation
	caller         string
	method, target string
	header         http.Header
	body           []byte
	// pathValues are the values of the path's parameters.
	pathValues map[string]string
}

// draw returns a random request of any operation by any caller.
func (e *env) draw(t *rapid.T) drawn {
	g := values{t: t}
	op := one(g, e.operations, "operation")
	validity := one(g, []int{valid, valid, valid, nearly, nearly, wild}, "how")
	g.words = func(name string) []any { return e.words(op, name) }
	d := drawn{operation: op, method: op.route.Method, header: http.Header{}, pathValues: map[string]string{}}
	d.caller = one(g, roles, "who")
	for _, p := range op.parameters("path") {
		d.pathValues[p.Name] = e.pathValue(g, d.caller, p, validity)
	}
	d.target = fill(op.route.Path, d.pathValues)
	if g.chance(15, "other slash") {
		if bare, ok := strings.CutSuffix(d.target, "/"); ok {
			d.target = bare
		} else {
			d.target += "/"
		}
	}
	query := url.Values{}
	for _, p := range op.parameters("query") {
		if p.Required || g.chance(35, "has "+p.Name) {
			query.Add(p.Name, g.parameter(p.Schema.Value, p.Name, validity))
		}
		if validity == wild && g.chance(10, "twice "+p.Name) {
			query.Add(p.Name, g.pick(hostile, "again"))
		}
	}
	if validity != valid && g.chance(10, "unknown query") {
		query.Add(rapid.StringN(1, 8, -1).Draw(t, "query"), g.pick(hostile, "value"))
	}
	if len(query) > 0 {
		d.target += "?" + query.Encode()
	}
	for _, p := range op.parameters("header") {
		if p.Required || g.chance(40, "has "+p.Name) {
			d.setHeader(p.Name, g.parameter(p.Schema.Value, p.Name, validity))
		}
	}
	d.drawOdd(g, validity)
	e.drawBody(g, &d, validity)
	return d
}

// setHeader sets a header unless HTTP clients cannot send the value.
func (d *drawn) setHeader(name, value string) {
	if httpguts.ValidHeaderFieldValue(value) {
		d.header.Set(name, value)
	}
}

// drawOdd adds unusual headers and methods that are not documented.
func (d *drawn) drawOdd(g values, validity int) {
	if d.method == http.MethodGet && g.chance(5, "HEAD") {
		d.method = http.MethodHead
	}
	if validity == valid {
		return
	}
	if g.chance(5, "other method") {
		d.method = g.pick([]string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"}, "method")
	}
	if g.chance(10, "request id") {
		d.setHeader("X-Request-ID", g.pick(hostile, "X-Request-ID"))
	}
	if g.chance(10, "accept") {
		d.setHeader("Accept",
			g.pick([]string{"text/html", "application/json", "text/event-stream", "*/*;q=0", "application/cbor", "a"}, "Accept"))
	}
	if g.chance(5, "if-none-match") {
		d.setHeader("If-None-Match", g.pick([]string{"*", `"a"`, `W/"a"`, "a", ","}, "If-None-Match"))
	}
	if g.chance(5, "prefer") {
		d.setHeader(
			g.pick([]string{
				"Range", "If-Range", "Origin", "X-Forwarded-For", "X-HTTP-Method-Override", "Upgrade", "Accept-Encoding",
			}, "header"), g.pick(hostile, "value"),
		)
	}
}

func (e *env) pathValue(g values, caller string, p *openapi3.Parameter, validity int) string {
	if validity == valid || g.chance(60, "known id") {
		if own := e.seen[caller][p.Name]; len(own) > 0 && g.chance(75, "own id") {
			return one(g, own, p.Name)
		}
		if ids := e.ids[p.Name]; len(ids) > 0 {
			return one(g, ids, p.Name)
		}
	}
	if len(e.deleted) > 0 && g.chance(30, "gone") {
		return one(g, e.deleted, p.Name)
	}
	if g.chance(50, "broken id") {
		// With an empty segment it would be another path.
		if v := g.pick(hostile, p.Name); v != "" {
			return v
		}
	}
	return rapid.StringN(1, 40, -1).Draw(g.t, p.Name)
}

func (e *env) drawBody(g values, d *drawn, validity int) {
	spec := d.route.Operation.RequestBody
	if spec == nil {
		if validity != valid && g.chance(10, "stray body") {
			d.header.Set("Content-Type", "application/json")
			d.body = []byte(g.pick([]string{"{}", "null", "[1]", "{", "text"}, "body"))
		}
		return
	}
	types := slices.Sorted(func(yield func(string) bool) {
		for name := range spec.Value.Content {
			if !yield(name) {
				return
			}
		}
	})
	media := g.pick(types, "media type")
	d.header.Set("Content-Type", media)
	schema := spec.Value.Content[media].Schema.Value
	if media == "multipart/form-data" {
		e.drawForm(g, d, validity)
		return
	}
	v := g.value(schema, "", validity)
	whole := e.bodies(d.operation)
	if example := spec.Value.Content[media].Example; len(whole) == 0 && example != nil &&
		!strings.Contains(d.route.Path, "mcp-servers") {
		whole = []any{example} // the example of an MCP server has a program
	}
	if len(whole) > 0 && g.chance(25, "whole") {
		v = one(g, whole, "body")
	}
	body, err := json.Marshal(v)
	if err != nil {
		g.t.Fatal(err)
	}
	d.body = body
	if validity != wild {
		return
	}
	switch g.below(10, "damage") {
	case 0:
		d.body = body[:rapid.IntRange(0, len(body)).Draw(g.t, "cut")]
	case 1:
		d.body = append(body, body...)
	case 2:
		d.body = rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(g.t, "bytes")
	case 3:
		d.header.Set("Content-Type",
			g.pick([]string{
				"text/plain", "application/json; charset=latin1", "application/xml", "multipart/form-data", "application/JSON", ";",
			}, "Content-Type"))
	case 4:
		d.header.Del("Content-Type")
	case 5:
		d.header.Set("Content-Encoding", "gzip")
	case 6:
		d.body = []byte(strings.Repeat(`{"a":[`, 40) + "1" + strings.Repeat("]}", 40))
	}
}

// drawForm sets a random upload as the body.
func (e *env) drawForm(g values, d *drawn, validity int) {
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	part := func(name, filename, media, content string) {
		h := textproto.MIMEHeader{}
		disposition := fmt.Sprintf(`form-data; name="%s"`, name)
		if filename != "" {
			disposition += fmt.Sprintf(`; filename="%s"`, strings.NewReplacer(`"`, `\"`, "\r", "", "\n", "").Replace(filename))
		}
		h.Set("Content-Disposition", disposition)
		if media != "" {
			h.Set("Content-Type", media)
		}
		p, err := form.CreatePart(h)
		if err == nil {
			_, err = p.Write([]byte(content))
		}
		if err != nil {
			g.t.Fatal(err)
		}
	}
	filename := "notes.txt"
	if g.chance(50, "odd name") {
		filename = g.pick(hostile, "filename")
	}
	media := g.pick([]string{"", "text/plain", "text/html", "application/json", "a", "image/png; x=y"}, "part type")
	metadata, err := json.Marshal(g.any("metadata", 0))
	if err != nil {
		g.t.Fatal(err)
	}
	if validity == valid || g.chance(30, "plain metadata") {
		metadata = []byte(`{"a":1}`)
	}
	if g.chance(50, "metadata first") {
		part("metadata", "", "application/json", string(metadata))
	}
	for range one(g, []int{1, 1, 1, 1, 1, 1, 0, 2}, "files") {
		part("file", filename, media, g.pick(hostile, "content"))
	}
	if validity != valid && g.chance(15, "more parts") {
		part(g.pick(hostile, "part"), "", "", "x")
	}
	if validity == valid || g.chance(90, "end") {
		_ = form.Close() // a buffer never fails
	}
	d.header.Set("Content-Type", form.FormDataContentType())
	d.body = b.Bytes()
}

// String returns a command that sends the request again.
func (d drawn) String() string {
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
	var b strings.Builder
	// Without -X, the option -d would make it a POST.
	fmt.Fprintf(&b, "curl -i --path-as-is -X %s \"$URL\"%s", d.method, quote(d.target))
	if d.caller != anonymous {
		fmt.Fprintf(&b, ` -H "Authorization: Bearer $%s"`, strings.ToUpper(d.caller))
	}
	for name, list := range d.header {
		for _, v := range list {
			b.WriteString(" -H " + quote(name+": "+v))
		}
	}
	if d.body != nil {
		fmt.Fprintf(&b, " --data-binary @<(printf %%b %s)", quote(escaped(d.body)))
	}
	return b.String()
}

// escaped escapes bytes for printf %b.
func escaped(body []byte) string {
	var b strings.Builder
	for _, c := range body {
		if c < ' ' || c > '~' || c == '\\' {
			fmt.Fprintf(&b, `\0%03o`, c)
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}
