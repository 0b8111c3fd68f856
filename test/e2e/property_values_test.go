package e2e_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"pgregory.net/rapid"
)

// How valid a request is.
const (
	valid  = iota
	nearly // some values are invalid or unusual
	wild   // any part may be invalid
)

// hostile are texts that often break parsers.
var hostile = []string{
	"", " ", "\t", "null", "0", "-1", "true", "undefined", "NaN", "..",
	"../../etc/passwd", "%00", "%2e%2e%2f", "a b", "a/b", `a\b`, "é", "e\u0301",
	"\u202e", "\ufeff", "\u2028", "😀", "\U0010ffff", "\x7f", "\r\n",
	"a\r\nX-Injected: yes", "\x1b[31m", "' OR 1=1 --", `"; DROP TABLE users; --`, "%s%n%d",
	"{{7*7}}", "${jndi:ldap://127.0.0.1/}", "<script>alert(1)</script>", "2025-01-31T12:00:00Z",
	"9999-12-31T23:59:59.999999999Z", "0000-00-00", "-0001-01-01T00:00:00Z",
	"9223372036854775807", "9223372036854775808", "-9223372036854775808", "1e999", "0x10",
	"1_000", "*", `W/"1"`, `"1"`, "bytes=0-", "bytes=-1", "bytes=9-1", "bytes=0-0,2-3",
	strings.Repeat("a", 255), strings.Repeat("é", 128), strings.Repeat("x", 5000),
}

// oddNumbers are JSON numbers at the limits of numeric types.
var oddNumbers = []string{
	"0", "-0", "1", "-1", "0.5", "1e2", "1E+2", "1e-400", "1e400", "9007199254740993",
	"9223372036854775807", "9223372036854775808", "-9223372036854775809",
	"123456789012345678901234567890", "0.1000000000000000055511151231257827",
}

// values generates values for schemas of the OpenAPI document.
type values struct {
	t *rapid.T
	// words returns plausible values of a field or parameter.
	words func(name string) []any
}

// uniform draws a 14-bit number. All numbers are equally likely, while rapid's own generators
// prefer small ones.
var uniform = rapid.Custom(func(t *rapid.T) int {
	n := 0
	for range 14 {
		n <<= 1
		if rapid.Bool().Draw(t, "bit") {
			n++
		}
	}
	return n
})

func (g values) below(n int, what string) int { return uniform.Draw(g.t, what) % n }

func (g values) chance(percent int, what string) bool { return g.below(100, what) < percent }

func one[T any](g values, from []T, what string) T { return from[g.below(len(from), what)] }

func (g values) pick(from []string, what string) string { return one(g, from, what) }

// value returns a value of a schema for the field or parameter of that name.
func (g values) value(schema *openapi3.Schema, name string, validity int) any {
	switch {
	case validity == wild && g.chance(30, "wild"):
		return g.any(name, 0)
	case validity == nearly && g.chance(8, "null"):
		return nil
	}
	if known := g.words(name); len(known) > 0 && g.chance(85, "known") {
		return one(g, known, name)
	}
	if schema == nil || schema.Type == nil {
		return g.any(name, 0)
	}
	if len(schema.Enum) > 0 && (validity == valid || g.chance(80, "enum")) {
		return one(g, schema.Enum, name)
	}
	types := schema.Type.Slice()
	switch one(g, types, "type") {
	case "object":
		return g.object(schema, validity)
	case "array":
		return g.array(schema, name, validity)
	case "boolean":
		return rapid.Bool().Draw(g.t, name)
	case "integer", "number":
		return g.number(schema, name, validity)
	case "null":
		return nil
	default:
		return g.text(schema, name, validity)
	}
}

func (g values) object(schema *openapi3.Schema, validity int) any {
	out := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		share := 40
		if slices.Contains(schema.Required, name) {
			share = 100
			if validity != valid {
				share = 92
			}
		}
		if !schema.Properties[name].Value.ReadOnly && g.chance(share, "has "+name) || validity != valid &&
			g.chance(3, "extra "+name) {
			out[name] = g.value(schema.Properties[name].Value, name, validity)
		}
	}
	if schema.AdditionalProperties.Has == nil || *schema.AdditionalProperties.Has || validity != valid &&
		g.chance(8, "unknown") {
		for range rapid.IntRange(0, 2).Draw(g.t, "more") {
			out[rapid.StringN(1, 12, -1).Draw(g.t, "name")] = g.any("", 1)
		}
	}
	return out
}

func (g values) array(schema *openapi3.Schema, name string, validity int) any {
	maximum := 3
	if validity != valid && g.chance(10, "long") {
		maximum = 40
	}
	out := make([]any, 0, maximum)
	for range g.below(maximum+1, "length") {
		var item *openapi3.Schema
		if schema.Items != nil {
			item = schema.Items.Value
		}
		out = append(out, g.value(item, name, validity))
	}
	return out
}

func (g values) number(schema *openapi3.Schema, name string, validity int) any {
	if validity != valid && g.chance(30, "odd") {
		return json.Number(g.pick(oddNumbers, name))
	}
	lowest, highest := int64(-1000), int64(1000)
	if schema.Min != nil {
		lowest = int64(*schema.Min)
		highest = lowest + 1000
	}
	if schema.Max != nil {
		highest = int64(*schema.Max)
	}
	return rapid.Int64Range(lowest, highest).Draw(g.t, name)
}

func (g values) text(schema *openapi3.Schema, name string, validity int) any {
	if validity != valid && g.chance(40, "hostile") {
		return g.pick(hostile, name)
	}
	switch {
	case schema.Pattern != "" && !strings.Contains(schema.Pattern, `\S`):
		return rapid.StringMatching(schema.Pattern).Draw(g.t, name)
	case schema.Format == "email":
		return rapid.StringMatching(`[a-z]{1,8}@example\.com`).Draw(g.t, name)
	case schema.Format == "date":
		return rapid.StringMatching(`20[0-9]{2}-0[1-9]-[01][0-9]`).Draw(g.t, name)
	case schema.Format == "date-time":
		return rapid.StringMatching(
			`20[0-9]{2}-0[1-9]-[01][0-9]T[01][0-9]:[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-]0[0-9]:00)`,
		).Draw(g.t, name)
	}
	maximum := 24
	if schema.MaxLength != nil {
		maximum = min(maximum, int(*schema.MaxLength))
	}
	return rapid.StringN(max(1, int(schema.MinLength)), max(maximum, int(schema.MinLength)), -1).Draw(g.t, name)
}

// any returns any JSON value.
func (g values) any(name string, depth int) any {
	switch n := g.below(10, "any"); {
	case n == 0:
		return nil
	case n == 1:
		return rapid.Bool().Draw(g.t, name)
	case n <= 3:
		return json.Number(g.pick(oddNumbers, name))
	case n <= 5 || depth > 3:
		return g.pick(hostile, name)
	case n == 6:
		return rapid.String().Draw(g.t, name)
	case n <= 8:
		out := map[string]any{}
		for range rapid.IntRange(0, 3).Draw(g.t, "fields") {
			out[rapid.StringN(0, 8, -1).Draw(g.t, "name")] = g.any(name, depth+1)
		}
		return out
	default:
		out := []any{}
		for range rapid.IntRange(0, 3).Draw(g.t, "items") {
			out = append(out, g.any(name, depth+1))
		}
		return out
	}
}

// parameter returns the text of a parameter.
func (g values) parameter(schema *openapi3.Schema, name string, validity int) string {
	switch v := g.value(schema, name, validity).(type) {
	case nil:
		return ""
	case string:
		return v
	case map[string]any, []any:
		b, _ := json.Marshal(v)
		return string(b)
	default:
		return fmt.Sprint(v)
	}
}
