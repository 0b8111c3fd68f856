package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

var (
	errNotJSON   = errors.New("not valid JSON")
	errNotObject = errors.New("not a JSON object")
)

// compact checks that b is one JSON value in UTF-8, and takes out what stands
// between its tokens: line breaks above all, which would end a message on stdio.
func compact(b []byte) ([]byte, error) {
	if !utf8.Valid(b) {
		return nil, errNotJSON
	}
	var buf bytes.Buffer
	buf.Grow(len(b))
	if err := json.Compact(&buf, b); err != nil {
		return nil, errNotJSON
	}
	return buf.Bytes(), nil
}

// The functions below read compact JSON. They work on its bytes, so that what
// is passed on stays as it came, to the last digit of a number.

// members calls f with each member of an object until f gives false. The key is
// as it is meant, start and end are where the value stands in obj.
func members(obj []byte, f func(key string, start, end int) bool) error {
	if len(obj) < 2 || obj[0] != '{' {
		return errNotObject
	}
	for i := 1; obj[i] != '}'; {
		if obj[i] == ',' {
			i++
		}
		keyEnd := skip(obj, i)
		key := text(obj[i:keyEnd])
		start := keyEnd + 1
		end := skip(obj, start)
		if !f(key, start, end) {
			return nil
		}
		i = end
	}
	return nil
}

// skip gives the end of the value that starts at i.
func skip(b []byte, i int) int {
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		depth := 0
		for {
			switch b[i] {
			case '"':
				i = skipString(b, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				depth--
			}
			i++
			if depth == 0 {
				return i
			}
		}
	default:
		for i < len(b) && b[i] != ',' && b[i] != '}' && b[i] != ']' {
			i++
		}
		return i
	}
}

func skipString(b []byte, i int) int {
	for i++; ; i++ {
		quote := bytes.IndexByte(b[i:], '"')
		slash := bytes.IndexByte(b[i:i+quote], '\\')
		if slash < 0 {
			return i + quote + 1
		}
		i += slash + 1
	}
}

// text is what a JSON string means; empty for another value.
func text(raw []byte) string {
	if len(raw) < 2 || raw[0] != '"' {
		return ""
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// locate gives where the value at the path stands. Of members with the same key
// the last counts, as it does for most who read JSON.
func locate(raw []byte, path ...string) (start, end int, ok bool) {
	start, end = 0, len(raw)
	for _, key := range path {
		found := false
		base := start
		err := members(raw[start:end], func(k string, s, e int) bool {
			if k == key {
				found, start, end = true, base+s, base+e
			}
			return true
		})
		if err != nil || !found {
			return 0, 0, false
		}
	}
	return start, end, true
}

// get gives the value at the path, or nil.
func get(raw []byte, path ...string) []byte {
	start, end, ok := locate(raw, path...)
	if !ok {
		return nil
	}
	return raw[start:end]
}

// replace gives a copy with another value at the path, if there is one.
func replace(raw, value []byte, path ...string) []byte {
	start, end, ok := locate(raw, path...)
	if !ok {
		return raw
	}
	out := make([]byte, 0, len(raw)+len(value))
	out = append(out, raw[:start]...)
	out = append(out, value...)
	return append(out, raw[end:]...)
}

func quote(s string) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		return []byte(`""`) // it does not fail for a string
	}
	return b
}
