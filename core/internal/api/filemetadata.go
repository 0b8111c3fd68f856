package api

import (
	"bytes"
	"encoding/json"
	"fmt"

	jsonpatch "github.com/evanphx/json-patch/v5"

	"github.com/agentarea/agentarea/core"
)

// maxMetadata is how many bytes a file's metadata may have.
const maxMetadata = 64 << 10

// checkMetadata gives metadata as it is kept: a JSON object, within the limits.
func checkMetadata(b []byte) (json.RawMessage, error) {
	if len(b) > maxMetadata {
		return nil, metadataTooLong()
	}
	if depth(b) > maxDepth {
		return nil, core.Invalid("metadata", "Must not nest deeper than %d levels", maxDepth)
	}
	if err := checkJSON(b, "metadata"); err != nil {
		return nil, err
	}
	if b = bytes.TrimSpace(b); b[0] != '{' {
		return nil, core.Invalid("metadata", `Must be an object, like {"description":"Document for processing"}`)
	}
	return json.RawMessage(b), nil
}

func metadataTooLong() error {
	return &core.Error{
		Code: core.CodePayloadTooLarge, Message: fmt.Sprintf("The metadata is over the limit of %d bytes", maxMetadata),
		Fields: []core.FieldError{{
			Field: "metadata", Issue: fmt.Sprintf("Must be at most %d bytes long: shorten it, or put it into a file of its own", maxMetadata),
		}},
	}
}

// mergeMetadata applies an RFC 7396 merge patch.
func mergeMetadata(now, patch json.RawMessage) (json.RawMessage, error) {
	if string(patch) == "null" {
		return json.RawMessage("{}"), nil
	}
	now, err := rewritten(now)
	if err != nil {
		return nil, err
	}
	// Of a field that is there twice the merge takes now one and now the other.
	if patch, err = rewritten(patch); err != nil {
		return nil, err
	}
	merged, err := jsonpatch.MergePatch(now, patch)
	if err != nil {
		return nil, core.Invalid("metadata", "Must be a JSON merge patch")
	}
	// Written anew once more, for the merge makes six bytes of each <, > and &.
	if merged, err = rewritten(merged); err != nil {
		return nil, err
	}
	return checkMetadata(merged)
}

// rewritten is JSON written anew: each field once, its last value, and each number as it was.
func rewritten(raw json.RawMessage) (json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("decode metadata: %w", err)
	}
	var b bytes.Buffer
	if err := encode(&b, v); err != nil {
		return nil, fmt.Errorf("encode metadata: %w", err)
	}
	return bytes.TrimSpace(b.Bytes()), nil
}
