// Package configschema compiles the JSON Schema that an agent type publishes for the config of its agents.
package configschema

import (
	"bytes"
	"fmt"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Compile returns the compiled schema. It fails for a text that is not a JSON Schema, and for a schema that refers to
// other documents, because they are not loaded.
func Compile(text []byte) (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("it is not valid JSON: %w", err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(noLoader{})
	if err := compiler.AddResource("config.json", doc); err != nil {
		return nil, err
	}
	return compiler.Compile("config.json")
}

// noLoader rejects references to other documents.
type noLoader struct{}

// Load implements jsonschema.URLLoader.
func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("reference to %s: other documents are not loaded", url)
}
