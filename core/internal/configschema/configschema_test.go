package configschema_test

import (
	"strings"
	"testing"

	"github.com/agentarea/agentarea/core/internal/configschema"
)

func TestCompile(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, schema, err string }{
		{"object", `{"type":"object","properties":{"model":{"type":"string"}}}`, ""},
		{"own reference", `{"$defs":{"a":{"type":"string"}},"properties":{"b":{"$ref":"#/$defs/a"}}}`, ""},
		{"empty", ``, "not valid JSON"},
		{"not JSON", `{"type":`, "not valid JSON"},
		{"unknown type", `{"type":"strin"}`, "type"},
		{"wrong keyword", `{"required":"model"}`, "required"},
		{"missing definition", `{"$ref":"#/$defs/none"}`, "none"},
		{"other document", `{"$ref":"https://example.com/schema.json"}`, "other documents are not loaded"},
		{"file", `{"$ref":"file:///etc/passwd"}`, "other documents are not loaded"},
		{"bad pattern", `{"properties":{"a":{"pattern":"("}}}`, "pattern"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := configschema.Compile([]byte(tt.schema))
			switch {
			case tt.err == "" && err != nil:
				t.Errorf("Compile(%s) = %v, want no error", tt.schema, err)
			case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
				t.Errorf("Compile(%s) = %v, want an error with %q", tt.schema, err, tt.err)
			}
		})
	}
}
