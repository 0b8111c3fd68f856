package api

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/agentarea/agentarea/core"
)

// The limits of a number in a JSON body. Code that calculates with exact numbers, such as the validation
// of a config, needs time and memory in proportion to the value of the exponent.
const (
	maxNumberLength   = 400
	maxNumberExponent = 308
)

// checkNumbers fails with Invalid for the first number in body, which is valid JSON, that exceeds the
// limits. Its time is linear in the length of body.
func checkNumbers(body []byte, root string) error {
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case c == '"':
			i += stringLength(body[i:]) - 1
		case c == '-' || c >= '0' && c <= '9':
			n := numberLength(body[i:])
			if exceedsLimits(string(body[i : i+n])) {
				return hugeNumber(body, root)
			}
			i += n - 1
		}
	}
	return nil
}

// hugeNumber returns the error that names the field with the first number beyond the limits.
func hugeNumber(body []byte, root string) error {
	field, found := findValue(body, root, func(v any) bool {
		n, ok := v.(json.Number)
		return ok && exceedsLimits(n.String())
	})
	if !found {
		field = orBody(root)
	}
	return core.Invalid(field, "Must be a number of at most %d characters with an exponent from -%d to %d",
		maxNumberLength, maxNumberExponent, maxNumberExponent)
}

// stringLength returns the length of the JSON string at the start of body, with its quotes.
func stringLength(body []byte) int {
	for i := 1; i < len(body); i++ {
		switch body[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(body)
}

// numberLength returns the length of the JSON number at the start of body.
func numberLength(body []byte) int {
	for i, c := range body {
		if (c < '0' || c > '9') && bytes.IndexByte([]byte("+-.eE"), c) < 0 {
			return i
		}
	}
	return len(body)
}

// exceedsLimits reports whether a JSON number is too long or has too large an exponent.
func exceedsLimits(number string) bool {
	if len(number) > maxNumberLength {
		return true
	}
	i := bytes.IndexAny([]byte(number), "eE")
	if i < 0 {
		return false
	}
	exponent, err := strconv.Atoi(number[i+1:])
	return err != nil || exponent > maxNumberExponent || exponent < -maxNumberExponent
}
