package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/agentarea/agentarea/core"
)

// Patch is a request body that is an RFC 7396 merge patch. The fields of T document it. Huma checks the types
// of the fields, but accepts null for each.
type Patch[T any] []byte

// UnmarshalJSON implements json.Unmarshaler.
func (p *Patch[T]) UnmarshalJSON(b []byte) error {
	*p = append((*p)[:0], b...)
	return nil
}

// Schema implements huma.SchemaProvider.
func (Patch[T]) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[T](), true, "")
}

// MergePatch applies an RFC 7396 merge patch to the JSON form of current and decodes the result into next. Fields
// keep their order, and values that the patch does not change keep their text. It fails with Invalid. Its time is
// linear in the length of both.
func MergePatch(current any, patch []byte, next any) error {
	now, err := json.Marshal(current)
	if err != nil {
		return fmt.Errorf("encode the current value: %w", err)
	}
	if err := decodeMerged(now, patch, next); err != nil {
		return core.Invalid("body", "Must be a JSON merge patch")
	}
	return nil
}

// decodeMerged decodes the result of a merge patch to the JSON text now into next.
func decodeMerged(now, patch []byte, next any) error {
	changes, err := parseJSON(patch)
	if err != nil {
		return err
	}
	target, err := parseJSON(now)
	if err != nil {
		return err
	}
	merged := mergeJSON(target, changes)
	return json.Unmarshal(merged.append(make([]byte, 0, len(now)+len(patch))), next)
}

// jsonValue is a JSON value: the fields of an object, or the text of any other value.
type jsonValue struct {
	text   []byte
	object *jsonObject // nil unless the value is an object
}

// jsonObject is a JSON object whose fields keep their order.
type jsonObject struct {
	fields []jsonField
	// byName has the index of each field.
	byName map[string]int
}

// jsonField is a field of a JSON object.
type jsonField struct {
	key string
	// name is the text of key in JSON, with its quotes.
	name    []byte
	value   jsonValue
	deleted bool
}

// set sets a field. A later field of the same name replaces an earlier one.
func (o *jsonObject) set(f jsonField) {
	if i, ok := o.byName[f.key]; ok {
		o.fields[i] = f
		return
	}
	o.byName[f.key] = len(o.fields)
	o.fields = append(o.fields, f)
}

// parseJSON parses a JSON text. It keeps the text of arrays and does not parse the objects in them. It returns
// errNotJSON if the text is not valid JSON.
func parseJSON(text []byte) (jsonValue, error) {
	if !json.Valid(text) {
		return jsonValue{}, errNotJSON
	}
	v, _ := parseValue(text, skipSpace(text, 0))
	return v, nil
}

var errNotJSON = errors.New("not JSON")

// skipSpace returns the position of the first character from position i that is not white space, a comma or a colon.
func skipSpace(text []byte, i int) int {
	for i < len(text) && (text[i] <= ' ' || text[i] == ',' || text[i] == ':') {
		i++
	}
	return i
}

// parseValue parses the value at position i of valid JSON. It also returns the position of its end.
func parseValue(text []byte, i int) (v jsonValue, end int) {
	if text[i] != '{' {
		end = i + valueLength(text[i:])
		return jsonValue{text: text[i:end]}, end
	}
	o := &jsonObject{byName: map[string]int{}}
	for i = skipSpace(text, i+1); text[i] != '}'; i = skipSpace(text, i) {
		name := text[i : i+stringLength(text[i:])]
		v, i = parseValue(text, skipSpace(text, i+len(name)))
		o.set(jsonField{key: unquote(name), name: name, value: v})
	}
	return jsonValue{object: o}, i + 1
}

// valueLength returns the length of the value at the start of text, which is part of valid JSON.
func valueLength(text []byte) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			i += stringLength(text[i:]) - 1
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
			continue
		default:
			continue
		}
		if depth <= 0 {
			return i + 1 + min(depth, 0) // the bracket after a number does not belong to it
		}
	}
	return len(text)
}

// unquote returns the value of a JSON string.
func unquote(text []byte) string {
	if bytes.IndexByte(text, '\\') < 0 {
		return string(text[1 : len(text)-1])
	}
	var s string
	_ = json.Unmarshal(text, &s) // the text is valid JSON
	return s
}

// mergeJSON returns the result of a merge patch. It may change target.
func mergeJSON(target, patch jsonValue) jsonValue {
	if patch.object == nil {
		return patch
	}
	if target.object == nil {
		target = jsonValue{object: &jsonObject{byName: map[string]int{}}}
	}
	o := target.object
	for _, f := range patch.object.fields {
		at, known := o.byName[f.key]
		switch {
		case string(f.value.text) == "null" && known:
			o.fields[at].deleted = true
		case string(f.value.text) == "null":
		case known:
			o.fields[at].value = mergeJSON(o.fields[at].value, f.value)
		default:
			f.value = mergeJSON(jsonValue{}, f.value) // removes the nulls of a new object
			o.set(f)
		}
	}
	return target
}

// append appends the JSON text of a value.
func (v jsonValue) append(to []byte) []byte {
	if v.object == nil {
		return append(to, v.text...)
	}
	to = append(to, '{')
	first := true
	for _, f := range v.object.fields {
		if f.deleted {
			continue
		}
		if !first {
			to = append(to, ',')
		}
		first = false
		to = append(append(to, f.name...), ':')
		to = f.value.append(to)
	}
	return append(to, '}')
}
