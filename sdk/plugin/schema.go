package plugin

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/agentarea/agentarea/sdk"
)

// field describes a field of a config struct.
type field struct {
	index            int
	name, doc        string
	required, secret bool
	// defaultValue is the default as JSON, or nil if there is none.
	defaultValue json.RawMessage
	// hcl is the HCL type of an attribute, or "" for a nested block.
	hcl string
	// inner is the struct type of a nested block. If repeated is true, there may be many such blocks.
	inner    reflect.Type
	repeated bool
}

var durationType = reflect.TypeFor[time.Duration]()

// SchemaOf returns the schema of the config struct that ptr points to, according to the tags that
// sdk.Info describes. For a nil ptr it returns an empty block. It returns an error if the struct or its
// tags are not valid.
func SchemaOf(ptr any) (sdk.Block, error) {
	if ptr == nil {
		return sdk.Block{}, nil
	}
	t := reflect.TypeOf(ptr)
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct || reflect.ValueOf(ptr).IsNil() {
		return sdk.Block{}, fmt.Errorf("config is a %s, want a pointer to a struct", t)
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
				Description: f.doc, Default: string(f.defaultValue),
			})
			continue
		}
		inner, err := schemaOf(f.inner)
		if err != nil {
			return sdk.Block{}, err
		}
		n := sdk.NestedBlock{Name: f.name, Block: inner, Max: 1, Description: f.doc}
		if f.repeated {
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
			return nil, fmt.Errorf("%s.%s: the name %q belongs to another field, too", t, sf.Name, f.name)
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
		return field{}, fmt.Errorf(`the field has no config tag; write config:"name", or config:"-" to ignore the field`)
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
			return field{}, fmt.Errorf("unknown option %q; the options are required and secret", option)
		}
	}
	f.hcl = hclType(sf.Type)
	switch {
	case f.hcl != "":
	case sf.Type.Kind() == reflect.Struct:
		f.inner = sf.Type
	case sf.Type.Kind() == reflect.Slice && sf.Type.Elem().Kind() == reflect.Struct:
		f.inner, f.repeated = sf.Type.Elem(), true
	default:
		return field{}, fmt.Errorf("the type %s is not supported in a config block", sf.Type)
	}
	if text, ok := sf.Tag.Lookup("default"); ok {
		if f.inner != nil {
			return field{}, fmt.Errorf("a block cannot have a default; set the defaults of its attributes")
		}
		f.defaultValue = defaultJSON(sf.Type, text)
		if err := setAttribute(reflect.New(sf.Type).Elem(), f.defaultValue); err != nil {
			return field{}, fmt.Errorf("default %q: %s", text, err.Summary)
		}
	}
	return f, nil
}

// hclType returns the HCL type of an attribute, or "" if t is not the type of an attribute.
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
