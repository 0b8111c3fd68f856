package hostcall

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

const (
	// maxPromptText is the maximum number of bytes of one text file that a prompt contains.
	maxPromptText = 100_000
	// maxPromptImage is the maximum size of an image in a prompt, in bytes.
	maxPromptImage = 10 << 20
	// maxPromptFiles is the maximum size of all files in a prompt, and maxPrompt the
	// maximum size of a prompt with files, both in bytes. gRPC limits messages to 64 MiB.
	maxPromptFiles = 24 << 20
	maxPrompt      = 60 << 20
)

// promptBuilder replaces the files in the messages of a completion with their content,
// or with a note that explains why the content is missing. It records nothing.
type promptBuilder struct {
	files     *Files
	providers Providers
	logger    *slog.Logger
	req       *agent.Completion
	// remaining is the number of bytes of files that still fit.
	remaining int
	// included holds the IDs of the files that the prompt contains.
	included map[string]bool
}

// namesFiles reports whether a part of m is a file.
func namesFiles(m sdk.Message) bool {
	return slices.ContainsFunc(m.Parts, func(p sdk.Part) bool { return p.File != nil })
}

// buildPrompt returns the messages of req as the provider receives them. If the files do
// not all fit, it includes the newest ones. It fails with Unavailable when the files
// cannot be read at the moment.
func buildPrompt(
	ctx context.Context, files *Files, providers Providers, logger *slog.Logger, req *agent.Completion,
) ([]sdk.Message, error) {
	if !slices.ContainsFunc(req.Messages, namesFiles) {
		return req.Messages, nil
	}
	b := &promptBuilder{
		files: files, providers: providers, logger: logger, req: req,
		remaining: max(0, min(maxPromptFiles, maxPrompt-sizeOf(req.Messages))),
		included:  map[string]bool{},
	}
	return b.build(ctx)
}

func (b *promptBuilder) build(ctx context.Context) ([]sdk.Message, error) {
	out := slices.Clone(b.req.Messages)
	for i, m := range slices.Backward(out) {
		if !namesFiles(m) {
			continue
		}
		parts := slices.Clone(m.Parts)
		for j := range parts {
			if parts[j].File == nil {
				continue
			}
			part, err := b.part(ctx, m.Role, parts[j].File)
			if err != nil {
				return nil, err
			}
			parts[j] = part
		}
		out[i].Parts = parts
	}
	return out, nil
}

// sizeOf returns the approximate number of bytes of messages.
func sizeOf(messages []sdk.Message) int {
	n := 0
	for _, m := range messages {
		for _, p := range m.Parts {
			n += len(p.Text)
			if p.Blob != nil {
				n += len(p.Blob.Data)
			}
		}
		for _, c := range m.ToolCalls {
			n += len(c.Arguments)
		}
	}
	return n
}

// part returns the part that replaces the file named in a message of role.
func (b *promptBuilder) part(ctx context.Context, role sdk.Role, named *sdk.File) (sdk.Part, error) {
	// Providers accept content from users only, and the model knows what it has written.
	if role == sdk.RoleAssistant || role == sdk.RoleTool {
		return note(named, ""), nil
	}
	if b.included[named.ID] {
		return note(named, "included below"), nil
	}
	f, err := b.files.file(ctx, named.ID)
	if core.CodeOf(err) == core.CodeNotFound {
		return note(named, "deleted, or not a file of this user and conversation"), nil
	}
	if err != nil {
		return sdk.Part{}, err
	}
	part, err := b.content(ctx, f)
	switch {
	case err == nil:
		return part, nil
	case ctx.Err() != nil, temporarilyUnavailable(err):
		return sdk.Part{}, err
	}
	b.logger.WarnContext(ctx, "omitting unreadable file from prompt", "file_id", f.ID, "error", err)
	return note(f.Ref(), "cannot be read"), nil
}

// content returns the content of f, or a note if the model does not accept it or it does
// not fit.
func (b *promptBuilder) content(ctx context.Context, f *core.File) (sdk.Part, error) {
	ref := f.Ref()
	limit := int64(maxPromptImage)
	switch {
	case ref.IsText():
		limit = maxPromptText
	case !ref.IsImage():
		return note(ref, "files of this type cannot be shown to the model"), nil
	case !b.providers.Supports(ctx, b.req.Model, "images"):
		return note(ref, "this model does not accept images"), nil
	case f.Size > limit:
		return note(ref, fmt.Sprintf("larger than the limit of %d MiB for images", limit>>20)), nil
	}
	size := min(f.Size, limit)
	if size > int64(b.remaining) {
		return note(ref, "omitted because the newer files fill the prompt"), nil
	}
	data, err := b.files.read(ctx, f, 0, size)
	if err != nil {
		return sdk.Part{}, err
	}
	b.included[f.ID] = true
	part := sdk.Part{Blob: &sdk.Blob{MediaType: f.ContentType, Data: data, Name: f.Name}}
	if ref.IsText() {
		part = b.text(ref, data)
	}
	b.remaining -= max(len(data), len(part.Text))
	return part, nil
}

// text returns the content of a text file between two lines that name the file. If data is
// not the complete content, the last line notes this.
func (b *promptBuilder) text(f *sdk.File, data []byte) sdk.Part {
	end := fmt.Sprintf("[end of file %s]", f.Name)
	content, used := decodeText(data, f.MediaType, 0, f.Size)
	if int64(len(data)) < f.Size {
		end = fmt.Sprintf("[file %s is truncated after %d of %d bytes", f.Name, used, f.Size)
		if slices.ContainsFunc(b.req.Tools, func(t sdk.Tool) bool { return t.Name == toolRead }) {
			end += fmt.Sprintf("; to read the rest, call %s with offset %d", toolRead, used)
		}
		end += "]"
	}
	return sdk.Part{Text: fmt.Sprintf("\n[%s]\n%s\n%s\n", label(f), content, end)}
}

// note returns a part that names f without its content, with the reason unless it is
// empty.
func note(f *sdk.File, reason string) sdk.Part {
	if reason != "" {
		reason = ": " + reason
	}
	return sdk.Part{Text: fmt.Sprintf("\n[%s%s]\n", label(f), reason)}
}

func label(f *sdk.File) string {
	return fmt.Sprintf("file %s (%s, %s, %d bytes)", f.Name, f.ID, f.MediaType, f.Size)
}
