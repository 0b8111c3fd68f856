package plugintest_test

import (
	"strings"
	"testing"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/plugintest"
)

func TestCompileSchema(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, schema string
		// words are a part of the error. They are empty for a schema that compiles.
		words string
	}{
		{"minimal", `{"type":"object"}`, ""},
		{"all keywords", `{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","title":"t",
			"properties":{"a":{"type":["string","null"],"pattern":"^a+$","minLength":0,"maxLength":5,"format":"email"},
				"b":{"type":"array","items":{"$ref":"#/$defs/c~1d"},"prefixItems":[true],"uniqueItems":true,"maxItems":3},
				"c":{"enum":[1,null],"default":1},"d":{"oneOf":[{"const":1},{"$ref":"#tag"}],"multipleOf":0.5,"minimum":-1}},
			"patternProperties":{"^x-":false},"required":["a"],"dependentRequired":{"a":["b"]},"additionalProperties":false,
			"$defs":{"c/d":{"$ref":"#"},"e":{"$anchor":"tag","not":{}}},"x-own":"keyword"}`, ""},
		{"not JSON", `{`, "not valid JSON"},
		{"list", `[]`, `"type": "object"`},
		{"not an object", `{"type":"string"}`, `"type": "object"`},
		{"no type", `{}`, `"type": "object"`},
		{"another draft", `{"$schema":"http://json-schema.org/draft-07/schema#","type":"object"}`, "2020-12"},
		{"unknown type", `{"type":"object","properties":{"a":{"type":"sting"}}}`, `#/properties/a/type is "sting", want`},
		{"type twice", `{"type":"object","properties":{"a":{"type":["null","null"]}}}`, "#/properties/a/type"},
		{"no types", `{"type":"object","properties":{"a":{"type":[]}}}`, "at least one type"},
		{"properties list", `{"type":"object","properties":[]}`, "#/properties is [], want an object of schemas"},
		{"property text", `{"type":"object","properties":{"a":"string"}}`, "#/properties/a is"},
		{"items list", `{"type":"object","properties":{"a":{"items":[{}]}}}`, "#/properties/a/items is"},
		{"allOf empty", `{"type":"object","allOf":[]}`, "#/allOf is"},
		{"required bool", `{"type":"object","properties":{"a":{"required":true}}}`, "list of different names"},
		{"required twice", `{"type":"object","required":["a","a"]}`, "list of different names"},
		{"dependentRequired", `{"type":"object","dependentRequired":{"a":"b"}}`, "#/dependentRequired/a"},
		{"pattern", `{"type":"object","properties":{"a":{"pattern":"(?=a)"}}}`, "regular expression"},
		{"pattern property", `{"type":"object","patternProperties":{"[":{}}}`, "regular expression"},
		{"negative length", `{"type":"object","properties":{"a":{"minLength":-1}}}`, "integer of at least 0"},
		{"minimum text", `{"type":"object","properties":{"a":{"minimum":"1"}}}`, "want a number"},
		{"exclusive bool", `{"type":"object","properties":{"a":{"exclusiveMinimum":true}}}`, "want a number"},
		{"multipleOf 0", `{"type":"object","properties":{"a":{"multipleOf":0}}}`, "greater than 0"},
		{"enum text", `{"type":"object","properties":{"a":{"enum":"b"}}}`, "want a list"},
		{"description list", `{"type":"object","description":[]}`, "want a string"},
		{"uniqueItems text", `{"type":"object","properties":{"a":{"uniqueItems":"yes"}}}`, "want a bool"},
		{"reference", `{"type":"object","properties":{"a":{"$ref":"#/$defs/a"}}}`, `"#/$defs/a", which does not exist`},
		{"reference by index", `{"type":"object","allOf":[{"$ref":"#/allOf/2"}]}`, "does not exist"},
		{"reference to text", `{"type":"object","title":"t","properties":{"a":{"$ref":"#/title"}}}`, "#/title is"},
		{"reference to a wrong schema", `{"type":"object","properties":{"a":{"$ref":"#/x"}},"x":{"type":"y"}}`, "#/x/type is"},
		{"escaped reference", `{"type":"object","properties":{"a":{"$ref":"#/%24defs/b"}},"$defs":{"b":{}}}`, ""},
		{"reference in a circle", `{"type":"object","x":{"$ref":"#/y"},"y":{"$ref":"#/x"},"$ref":"#/x"}`, ""},
		{"anchor name", `{"type":"object","$anchor":"a b"}`, "#/$anchor is"},
		{"anchor", `{"type":"object","properties":{"a":{"$ref":"#a"}}}`, "the anchor"},
		{"other document", `{"type":"object","properties":{"a":{"$ref":"a.json"}}}`, "does not load other documents"},
	}
	for _, tt := range tests {
		err := plugintest.CompileSchema([]byte(tt.schema))
		if (err == nil) != (tt.words == "") || err != nil && !strings.Contains(err.Error(), tt.words) {
			t.Errorf("%s: compileSchema(%s) = %v, want an error that contains %q", tt.name, tt.schema, err, tt.words)
		}
	}
}

func TestCheckBlock(t *testing.T) {
	t.Parallel()
	attribute := func(a sdk.Attribute) sdk.Block { return sdk.Block{Attributes: []sdk.Attribute{a}} }
	tests := []struct {
		name  string
		block sdk.Block
		words string
	}{
		{"empty", sdk.Block{}, ""},
		{"valid", sdk.Block{
			Attributes: []sdk.Attribute{
				{Name: "a", Type: "string", Default: `"x"`},
				{Name: "b", Type: "map(string)", Default: `{"x":"y"}`},
				{Name: "c", Type: "any", Default: `[1]`},
			},
			Blocks: []sdk.NestedBlock{{Name: "d", Max: 1}},
		}, ""},
		{"no name", attribute(sdk.Attribute{Type: "string"}), `the name ""`},
		{"name with a space", attribute(sdk.Attribute{Name: "a b", Type: "string"}), `the name "a b"`},
		{"name twice", sdk.Block{
			Attributes: []sdk.Attribute{{Name: "a", Type: "string"}}, Blocks: []sdk.NestedBlock{{Name: "a"}},
		}, `the name "a"`},
		{"type", attribute(sdk.Attribute{Name: "a", Type: "strnig"}), `config.a has the type "strnig"`},
		{"default", attribute(sdk.Attribute{Name: "a", Type: "number", Default: `"1"`}), "config.a of the type number"},
		{"default that is not JSON", attribute(sdk.Attribute{Name: "a", Type: "string", Default: `x`}), "has the default x"},
		{"items", sdk.Block{Blocks: []sdk.NestedBlock{{Name: "a", Min: 2, Max: 1}}}, "at least 2 and at most 1"},
		{"nested", sdk.Block{Blocks: []sdk.NestedBlock{{Name: "a", Block: attribute(sdk.Attribute{Name: "b"})}}}, "config.a.b"},
	}
	for _, tt := range tests {
		err := plugintest.CheckBlock("config", tt.block)
		if (err == nil) != (tt.words == "") || err != nil && !strings.Contains(err.Error(), tt.words) {
			t.Errorf("%s: checkBlock(%+v) = %v, want an error that contains %q", tt.name, tt.block, err, tt.words)
		}
	}
}
