package plugin

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/agentarea/agentarea/sdk"
)

// field is a field of a config struct, read from its tags.
type field struct {
	index            int
	name, doc        string
	required, secret bool
	// fallback is the default as JSON; nil for none.
	fallback json.RawMessage
	// hcl is the type of an attribute; empty for an inner block.
	hcl string
	// inner is the struct of an inner block, or of many.
	inner reflect.Type
	many  bool
}

var durationType = reflect.TypeFor[time.Duration]()

// SchemaOf gives the schema of the config struct that ptr points to, by the
// tags that sdk.Info describes; a nil ptr is an empty block. An error is a
// mistake in the struct.
func SchemaOf(ptr any) (sdk.Block, error) {
	if ptr == nil {
		return sdk.Block{}, nil
	}
	t := reflect.TypeOf(ptr)
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct || reflect.ValueOf(ptr).IsNil() {
		return sdk.Block{}, fmt.Errorf("config is a %s: give a pointer to a struct", t)
	}
	return schemaOf(t.Elem())
}

func schemaOf(t reflect.Type) (sdk.Block, error) {
	fields, err := fieldsOf(t)
	if err != nil {
		return sdk.Block{}, err
	}
	var b sdk.Block
	for _, f := range fields {
		if f.inner == nil {
			b.Attributes = append(b.Attributes, sdk.Attribute{
				Name: f.name, Type: f.hcl, Required: f.required, Secret: f.secret,
				Description: f.doc, Default: string(f.fallback),
			})
			continue
		}
		inner, err := schemaOf(f.inner)
		if err != nil {
			return sdk.Block{}, err
		}
		n := sdk.NestedBlock{Name: f.name, Block: inner, Max: 1, Description: f.doc}
		if f.many {
			n.Max = 0
		}
		if f.required {
			n.Min = 1
		}
		b.Blocks = append(b.Blocks, n)
	}
	return b, nil
}

func fieldsOf(t reflect.Type) ([]field, error) {
	var fields []field
	names := map[string]bool{}
	for i := range t.NumField() {
		sf := t.Field(i)
		tag := sf.Tag.Get("config")
		if !sf.IsExported() || tag == "-" {
			continue
		}
		f, err := fieldOf(sf, tag)
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", t, sf.Name, err)
		}
		if names[f.name] {
			return nil, fmt.Errorf("%s.%s: %q is taken by another field", t, sf.Name, f.name)
		}
		names[f.name] = true
		f.index = i
		fields = append(fields, f)
	}
	return fields, nil
}

func fieldOf(sf reflect.StructField, tag string) (field, error) {
	name, options, _ := strings.Cut(tag, ",")
	if name == "" {
		return field{}, fmt.Errorf(`give it a name, config:"name", or leave it out, config:"-"`)
	}
	f := field{name: name, doc: sf.Tag.Get("doc")}
	for option := range strings.SplitSeq(options, ",") {
		switch option {
		case "":
		case "required":
			f.required = true
		case "secret":
			f.secret = true
		default:
			return field{}, fmt.Errorf("unknown option %q: there are required and secret", option)
		}
	}
	f.hcl = hclType(sf.Type)
	switch {
	case f.hcl != "":
	case sf.Type.Kind() == reflect.Struct:
		f.inner = sf.Type
	case sf.Type.Kind() == reflect.Slice && sf.Type.Elem().Kind() == reflect.Struct:
		f.inner, f.many = sf.Type.Elem(), true
	default:
		return field{}, fmt.Errorf("a %s can't be in a config block", sf.Type)
	}
	if text, ok := sf.Tag.Lookup("default"); ok {
		if f.inner != nil {
			return field{}, fmt.Errorf("a block has no default: give its attributes theirs")
		}
		f.fallback = defaultJSON(sf.Type, text)
		if err := setAttribute(reflect.New(sf.Type).Elem(), f.fallback); err != nil {
			return field{}, fmt.Errorf("default %q: %s", text, err.Summary)
		}
	}
	return f, nil
}

// hclType is the type of an attribute; empty for what is a block or nothing.
func hclType(t reflect.Type) string {
	switch {
	case t == durationType, t.Kind() == reflect.String:
		return "string"
	case t.Kind() == reflect.Bool:
		return "bool"
	case t.Kind() == reflect.Int, t.Kind() == reflect.Int64, t.Kind() == reflect.Float64:
		return "number"
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.String:
		return "list(string)"
	case t.Kind() == reflect.Map && t.Key().Kind() == reflect.String && t.Elem().Kind() == reflect.String:
		return "map(string)"
	}
	return ""
}

func defaultJSON(t reflect.Type, text string) json.RawMessage {
	if t == durationType || t.Kind() == reflect.String {
		quoted, _ := json.Marshal(text)
		return quoted
	}
	return json.RawMessage(text)
}
