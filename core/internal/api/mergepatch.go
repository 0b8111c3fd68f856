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
	changes, err := parseJSON(patch)
	if err == nil {
		var target jsonValue
		if target, err = parseJSON(now); err == nil {
			merged := mergeJSON(target, changes)
			err = json.Unmarshal(merged.append(make([]byte, 0, len(now)+len(patch))), next)
		}
	}
	if err != nil {
		return core.Invalid("body", "Must be a JSON merge patch")
	}
	return nil
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

type jsonField struct {
	key string
	// name is the text of key in JSON.
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

// parseJSON parses a JSON text. It decodes objects but not what is in arrays.
func parseJSON(text []byte) (jsonValue, error) {
	if !json.Valid(text) {
		return jsonValue{}, errNotJSON
	}
	p := jsonParser{text: text, decoder: json.NewDecoder(bytes.NewReader(text))}
	p.decoder.UseNumber()
	return p.value()
}

var errNotJSON = errors.New("not JSON")

type jsonParser struct {
	text    []byte
	decoder *json.Decoder
}

// next reads the next token, and returns the position of its first byte, too.
func (p *jsonParser) next() (token json.Token, at int, err error) {
	at = int(p.decoder.InputOffset())
	for at < len(p.text) && bytes.IndexByte([]byte(" \t\r\n,:"), p.text[at]) >= 0 {
		at++
	}
	token, err = p.decoder.Token()
	return token, at, err
}

func (p *jsonParser) value() (jsonValue, error) {
	token, at, err := p.next()
	if err != nil {
		return jsonValue{}, err
	}
	switch token {
	case json.Delim('{'):
		o, err := p.object()
		return jsonValue{object: o}, err
	case json.Delim('['):
		for depth := 1; depth > 0; {
			token, _, err := p.next()
			if err != nil {
				return jsonValue{}, err
			}
			switch token {
			case json.Delim('['), json.Delim('{'):
				depth++
			case json.Delim(']'), json.Delim('}'):
				depth--
			}
		}
	}
	return jsonValue{text: p.text[at:p.decoder.InputOffset()]}, nil
}

// object parses the fields of an object whose brace was read.
func (p *jsonParser) object() (*jsonObject, error) {
	o := &jsonObject{byName: map[string]int{}}
	for {
		token, at, err := p.next()
		if err != nil {
			return nil, err
		}
		key, ok := token.(string)
		if !ok { // the closing brace
			return o, nil
		}
		name := p.text[at:p.decoder.InputOffset()]
		value, err := p.value()
		if err != nil {
			return nil, err
		}
		o.set(jsonField{key: key, name: name, value: value})
	}
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
			f.value = mergeJSON(jsonValue{}, f.value) // null has no place in a new object either
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
