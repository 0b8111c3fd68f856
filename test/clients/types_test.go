package clients_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// schema is the part of an OpenAPI schema that types.js has.
type schema struct {
	Ref         string            `json:"$ref"`
	Type        any               `json:"type"`
	Description string            `json:"description"`
	Enum        []string          `json:"enum"`
	Items       *schema           `json:"items"`
	Properties  map[string]schema `json:"properties"`
	Required    []string          `json:"required"`
	OneOf       []schema          `json:"oneOf"`
}

// TestTypesAreFresh checks that types.js has the types of the OpenAPI document.
func TestTypesAreFresh(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../core/internal/app/testdata/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Components struct {
			Schemas map[string]schema `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(data, &document); err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	want.WriteString(
		"// Types of the API. Generated from its OpenAPI document by go test ./test/clients -run TypesAreFresh -update. DO NOT EDIT.\n\nexport {};\n",
	)
	for _, name := range slices.Sorted(maps.Keys(document.Components.Schemas)) {
		typedef(&want, name, document.Components.Schemas[name])
	}
	path := filepath.Join(javascript, "src", "types.js")
	if *update {
		if err := os.WriteFile(path, want.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("types.js differs from the OpenAPI document (%v): run go test ./test/clients -run TypesAreFresh -update",
			err)
	}
}

func typedef(out *bytes.Buffer, name string, s schema) {
	if len(s.OneOf) > 0 {
		var types []string
		for _, one := range s.OneOf {
			types = append(types, typeOf(one))
		}
		fmt.Fprintf(out, "\n/** @typedef {%s} %s */\n", strings.Join(types, " | "), name)
		return
	}
	fmt.Fprintf(out, "\n/**\n * @typedef {object} %s\n", name)
	for _, p := range slices.Sorted(maps.Keys(s.Properties)) {
		property := s.Properties[p]
		shortened := p
		if !slices.Contains(s.Required, p) {
			shortened = "[" + p + "]"
		}
		line := fmt.Sprintf(" * @property {%s} %s %s",
			typeOf(property), shortened, strings.ReplaceAll(property.Description, "\n", " "))
		out.WriteString(" " + strings.TrimSpace(line) + "\n")
	}
	out.WriteString(" */\n")
}

func typeOf(s schema) string {
	switch kind, _ := s.Type.(string); {
	case s.Ref != "":
		return s.Ref[strings.LastIndex(s.Ref, "/")+1:]
	case len(s.Enum) > 0:
		return `"` + strings.Join(s.Enum, `" | "`) + `"`
	case kind == "array" && s.Items != nil:
		return typeOf(*s.Items) + "[]"
	case kind == "integer", kind == "number":
		return "number"
	case kind == "boolean", kind == "string":
		return kind
	case kind == "object":
		return "Record<string, any>"
	default:
		return "any"
	}
}
