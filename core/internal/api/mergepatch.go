package api

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	jsonpatch "github.com/evanphx/json-patch/v5"

	"github.com/agentarea/agentarea/core"
)

// Patch is a request body that is an RFC 7396 merge patch. The fields of T document it. Huma checks the types
// of the fields, but accepts null for each.
type Patch[T any] []byte

// UnmarshalJSON implements json.Unmarshaler.
func (p *Patch[T]) UnmarshalJSON(b []byte) error {
	*p = append((*p)[:0], b...)
	return nil
}

// Schema implements huma.SchemaProvider.
func (Patch[T]) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[T](), true, "")
}

// MergePatch applies an RFC 7396 merge patch to the JSON form of current and decodes the result into next. It
// fails with Invalid.
func MergePatch(current any, patch []byte, next any) error {
	now, err := json.Marshal(current)
	if err != nil {
		return fmt.Errorf("encode the current value: %w", err)
	}
	merged, err := jsonpatch.MergePatch(now, patch)
	if err == nil {
		err = json.Unmarshal(merged, next)
	}
	if err != nil {
		return core.Invalid("body", "Must be a JSON merge patch")
	}
	return nil
}
