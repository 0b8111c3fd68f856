package files

import (
	"context"
	"fmt"
	"slices"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
)

// MessageParts returns the parts of a message: its text, and then the files with the given ids. The files
// must be the actor's own, because runs can read no others, not even those of an admin. It fails with
// Invalid.
func (f *Files) MessageParts(ctx context.Context, v core.Actor, text string, fileIDs []string) ([]sdk.Part, error) {
	v.Role = core.RoleMember
	parts := []sdk.Part{{Text: text}}
	for i, id := range fileIDs {
		if slices.Contains(fileIDs[:i], id) {
			return nil, core.Invalid("file_ids", "Contains a duplicate: %q", id)
		}
		file, err := f.store.File(ctx, v, id)
		if core.CodeOf(err) == core.CodeNotFound {
			return nil, core.Invalid(fmt.Sprintf("file_ids[%d]", i),
				"File %q does not exist. Upload it with POST /v1/files/upload.", id)
		}
		if err != nil {
			return nil, err
		}
		parts = append(parts, sdk.Part{File: file.Ref()})
	}
	return parts, nil
}
