package remote

import "testing"

func TestToolSchema(t *testing.T) {
	t.Parallel()
	for schema, want := range map[string]string{
		"":                  emptySchema,
		"null":              emptySchema,
		"{}":                `{"properties":{},"type":"object"}`,
		`{"type":"object"}`: `{"properties":{},"type":"object"}`,
		`{"type":"object","properties":{"a":{"type":"array"}}}`: `{"properties":{"a":{"items":{},"type":"array"}},"type":"object"}`,
		`{"type":"object","properties":{"a":{"type":["array","null"]}}}`: `{"properties":{"a":{"items":{},"type":["array","null"]}},` +
			`"type":"object"}`,
		`{"type":"object","properties":{"a":{"anyOf":[{"type":"array"}],"default":9007199254740993}},"x":"<"}`: `{"properties":` +
			`{"a":{"anyOf":[{"items":{},"type":"array"}],"default":9007199254740993}},"type":"object","x":"<"}`,
		// A schema that is good stays as it is.
		`{"type": "object", "properties": {"b": {"type":"array","items":{"type":"string"}}, "a": {"enum":[{"type":"array"}]}}}`: `{"type": "object", ` +
			`"properties": {"b": {"type":"array","items":{"type":"string"}}, "a": {"enum":[{"type":"array"}]}}}`,
	} {
		if got, err := ToolSchema(schema); err != nil || string(got) != want {
			t.Errorf("ToolSchema(%s) = %s, %v, want %s", schema, got, err, want)
		}
	}
	for _, schema := range []string{"{", "[]", "5", `"a"`} {
		if got, err := ToolSchema(schema); err == nil {
			t.Errorf("ToolSchema(%s) = %s, want an error", schema, got)
		}
	}
}

func TestParseError(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]ErrorBody{
		`{"error":{"message":"m","type":"T","code":"C"}}`:  {Message: "m", Type: "c t"},
		`{"error":{"message":"m","code":429}}`:             {Message: "m", Type: "429", Status: 429},
		`{"error":"m"}`:                                    {Message: "m"},
		`{"error":null,"detail":"m"}`:                      {Message: "m"},
		`{"object":"error","message":"m","code":400}`:      {Message: "m", Type: "400", Status: 400},
		`{"detail":[{"loc":["a"],"msg":"m"}]}`:             {Message: "m"},
		`{"errors":[{"message":"m"},{"message":"other"}]}`: {Message: "m"},
		`{"errors":["m"]}`:                                 {Message: "m"},
		"\uFEFF{\"message\":\"m\"}":                        {Message: "m"},
	} {
		if got, ok := ParseError([]byte(body)); !ok || got != want {
			t.Errorf("ParseError(%s) = %+v, %v, want %+v", body, got, ok, want)
		}
	}
	for _, body := range []string{"", "null", "[]", `"m"`, "{}", `{"error":null}`, `{"error":{}}`, `{"choices":[]}`, `{"message":""}`} {
		if got, ok := ParseError([]byte(body)); ok {
			t.Errorf("ParseError(%s) = %+v, want no error", body, got)
		}
	}
}
