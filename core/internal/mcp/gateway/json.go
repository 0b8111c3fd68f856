package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// The errors of invalid messages.
var (
	errNotJSON   = errors.New("not valid JSON")
	errNotObject = errors.New("not a JSON object")
)

// compact checks that b is one JSON value in UTF-8 and removes the white space between its
// tokens. A line break would end the message on stdio.
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

// eachMember calls f for each member of a JSON object until f returns false. key is the decoded
// key; start and end delimit the value in obj. It returns errNotObject when obj is not an
// object. It requires compact JSON, as do all functions below. They work on the raw bytes, so
// that a forwarded message keeps its exact form, including every digit of a number.
func eachMember(obj []byte, f func(key string, start, end int) bool) error {
	if len(obj) < 2 || obj[0] != '{' {
		return errNotObject
	}
	for i := 1; obj[i] != '}'; {
		if obj[i] == ',' {
			i++
		}
		keyEnd := valueEnd(obj, i)
		key := stringValue(obj[i:keyEnd])
		start := keyEnd + 1
		end := valueEnd(obj, start)
		if !f(key, start, end) {
			return nil
		}
		i = end
	}
	return nil
}

// valueEnd returns the end of the value that starts at i.
func valueEnd(b []byte, i int) int {
	switch b[i] {
	case '"':
		return stringEnd(b, i)
	case '{', '[':
		depth := 0
		for {
			switch b[i] {
			case '"':
				i = stringEnd(b, i)
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

// stringEnd returns the end of the JSON string that starts at i.
func stringEnd(b []byte, i int) int {
	for i++; ; i++ {
		quote := bytes.IndexByte(b[i:], '"')
		slash := bytes.IndexByte(b[i:i+quote], '\\')
		if slash < 0 {
			return i + quote + 1
		}
		i += slash + 1
	}
}

// stringValue returns the decoded JSON string, or "" when raw is another kind of value.
func stringValue(raw []byte) string {
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

// locate returns the bounds of the value at the path. If a key occurs more than once, the last
// one counts, as in most JSON parsers.
func locate(raw []byte, path ...string) (start, end int, ok bool) {
	start, end = 0, len(raw)
	for _, key := range path {
		found := false
		base := start
		err := eachMember(raw[start:end], func(k string, s, e int) bool {
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

// get returns the value at the path, or nil if there is none.
func get(raw []byte, path ...string) []byte {
	start, end, ok := locate(raw, path...)
	if !ok {
		return nil
	}
	return raw[start:end]
}

// replace returns a copy of raw with another value at the path. It returns raw itself when the
// path does not exist.
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

// quote returns s as a JSON string.
func quote(s string) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		return []byte(`""`) // Marshal does not fail for a string
	}
	return b
}
