package files

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

// maxMetadata is the maximum size of a file's metadata in bytes.
const maxMetadata = 64 << 10

// checkMetadata returns metadata as it is stored: a JSON object within the limits. It fails with Invalid or
// PayloadTooLarge.
func checkMetadata(b []byte) (json.RawMessage, error) {
	if len(b) > maxMetadata {
		return nil, metadataTooLong()
	}
	if api.JSONDepth(b) > api.MaxJSONDepth {
		return nil, core.Invalid("metadata", "Must not nest deeper than %d levels", api.MaxJSONDepth)
	}
	if err := api.CheckJSON(b, "metadata"); err != nil {
		return nil, err
	}
	if b = bytes.TrimSpace(b); b[0] != '{' {
		return nil, core.Invalid("metadata", `Must be an object such as {"description":"Document for processing"}`)
	}
	return json.RawMessage(b), nil
}

func metadataTooLong() error {
	return &core.Error{
		Code: core.CodePayloadTooLarge, Message: fmt.Sprintf("The metadata exceeds the limit of %d bytes", maxMetadata),
		Fields: []core.FieldError{{
			Field: "metadata",
			Issue: fmt.Sprintf("Must be at most %d bytes long. Shorten it, or upload it as a separate file.", maxMetadata),
		}},
	}
}

// mergeMetadata applies an RFC 7396 merge patch to metadata.
func mergeMetadata(now, patch json.RawMessage) (json.RawMessage, error) {
	if string(patch) == "null" {
		return json.RawMessage("{}"), nil
	}
	now, err := normalize(now)
	if err != nil {
		return nil, err
	}
	// The result of merging an object with duplicate fields is not deterministic.
	if patch, err = normalize(patch); err != nil {
		return nil, err
	}
	var merged json.RawMessage
	if err := api.MergePatch(now, patch, &merged); err != nil {
		return nil, err
	}
	// The merge escapes each <, > and & with six bytes; normalize removes that.
	if merged, err = normalize(merged); err != nil {
		return nil, err
	}
	return checkMetadata(merged)
}

// normalize encodes JSON again, with the last value of each duplicate field and without HTML escapes.
// Numbers keep every digit.
func normalize(raw json.RawMessage) (json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("decode metadata: %w", err)
	}
	var b bytes.Buffer
	if err := api.EncodeJSON(&b, v); err != nil {
		return nil, fmt.Errorf("encode metadata: %w", err)
	}
	return bytes.TrimSpace(b.Bytes()), nil
}
