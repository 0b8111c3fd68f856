package run

import (
	"context"
	"fmt"
	"slices"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

const (
	// maxPromptText is how much of a text file a prompt holds, in bytes.
	maxPromptText = 100_000
	// maxPromptImage is how large an image of a prompt may be, in bytes.
	maxPromptImage = 10 << 20
	// maxPromptFiles bounds what a prompt holds of files, and maxPrompt that with
	// its other content, in bytes: gRPC takes 64 MiB.
	maxPromptFiles = 24 << 20
	maxPrompt      = 60 << 20
)

// prompt puts the content of files where the messages of a completion name
// them, or a note that says why it is not there. What it reads is recorded nowhere.
type prompt struct {
	x   *execution
	req *agent.Completion
	// left is how many bytes of files may still be added.
	left  int
	shown map[string]bool
}

// expand gives the messages as the provider gets them. The newest files come
// first when there is not room for all. It fails with Unavailable when the files
// are out of reach.
func (x *execution) expand(ctx context.Context, req *agent.Completion) ([]sdk.Message, error) {
	if !slices.ContainsFunc(req.Messages, namesFiles) {
		return req.Messages, nil
	}
	p := &prompt{x: x, req: req, left: max(0, min(maxPromptFiles, maxPrompt-sizeOf(req.Messages))), shown: map[string]bool{}}
	out := slices.Clone(req.Messages)
	for i, m := range slices.Backward(out) {
		if !namesFiles(m) {
			continue
		}
		parts := slices.Clone(m.Parts)
		for j := range parts {
			if parts[j].File == nil {
				continue
			}
			part, err := p.part(ctx, m.Role, parts[j].File)
			if err != nil {
				return nil, err
			}
			parts[j] = part
		}
		out[i].Parts = parts
	}
	return out, nil
}

func namesFiles(m sdk.Message) bool {
	return slices.ContainsFunc(m.Parts, func(p sdk.Part) bool { return p.File != nil })
}

// sizeOf is about how many bytes the messages have.
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

// part is what stands for one file.
func (p *prompt) part(ctx context.Context, role sdk.Role, named *sdk.File) (sdk.Part, error) {
	// Providers take content from users only, and the model knows what it wrote.
	if role == sdk.RoleAssistant || role == sdk.RoleTool {
		return note(named, ""), nil
	}
	if p.shown[named.ID] {
		return note(named, "it is shown further below"), nil
	}
	f, err := p.x.file(ctx, named.ID)
	if core.CodeOf(err) == core.CodeNotFound {
		return note(named, "it is deleted, or not a file of this user and conversation"), nil
	}
	if err != nil {
		return sdk.Part{}, err
	}
	part, err := p.content(ctx, f)
	switch {
	case err == nil:
		return part, nil
	case ctx.Err() != nil, away(err):
		return sdk.Part{}, err
	}
	p.x.log.WarnContext(ctx, "file not shown to the model", "file_id", f.ID, "error", err)
	return note(f.Ref(), "it can't be read"), nil
}

func (p *prompt) content(ctx context.Context, f *core.File) (sdk.Part, error) {
	ref := f.Ref()
	most := int64(maxPromptImage)
	switch {
	case ref.IsText():
		most = maxPromptText
	case !ref.IsImage():
		return note(ref, "a file of this type can't be shown to the model"), nil
	case p.x.engine.Plugins.Lacks(ctx, p.req.Model, "images"):
		return note(ref, "this model takes no images"), nil
	case f.Size > most:
		return note(ref, fmt.Sprintf("it is larger than %d MiB, the most of an image that is shown", most>>20)), nil
	}
	size := min(f.Size, most)
	if size > int64(p.left) {
		return note(ref, "there is no room for it beside the newer files"), nil
	}
	data, err := p.x.read(ctx, f, 0, size)
	if err != nil {
		return sdk.Part{}, err
	}
	p.shown[f.ID] = true
	part := sdk.Part{Blob: &sdk.Blob{MediaType: f.ContentType, Data: data, Name: f.Name}}
	if ref.IsText() {
		part = p.text(ref, data)
	}
	p.left -= max(len(data), len(part.Text))
	return part, nil
}

// text frames a file's text, and says so when it is not all.
func (p *prompt) text(f *sdk.File, data []byte) sdk.Part {
	end := fmt.Sprintf("[end of file %s]", f.Name)
	if int64(len(data)) < f.Size {
		data = wholeRunes(data)
		end = fmt.Sprintf("[file %s is cut here, after %d of %d bytes", f.Name, len(data), f.Size)
		if slices.ContainsFunc(p.req.Tools, func(t sdk.Tool) bool { return t.Name == toolRead }) {
			end += fmt.Sprintf(": %s with the offset %d gives the rest", toolRead, len(data))
		}
		end += "]"
	}
	return sdk.Part{Text: fmt.Sprintf("\n[%s]\n%s\n%s\n", label(f), plainText(data), end)}
}

// note stands for a file whose content is not there.
func note(f *sdk.File, why string) sdk.Part {
	if why != "" {
		why = ": " + why
	}
	return sdk.Part{Text: fmt.Sprintf("\n[%s%s]\n", label(f), why)}
}

func label(f *sdk.File) string {
	return fmt.Sprintf("file %s (%s, %s, %d bytes)", f.Name, f.ID, f.MediaType, f.Size)
}
