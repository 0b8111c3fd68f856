package run

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

// The tools for the files of a conversation.
const (
	toolList  = "files__list"
	toolRead  = "files__read"
	toolWrite = "files__write"
)

const (
	// maxToolRead is how many bytes files__read gives at once.
	maxToolRead = 64 << 10
	// maxToolWrite is how many bytes files__write takes.
	maxToolWrite = 1 << 20
)

var fileToolList = []sdk.Tool{
	{
		Name: toolList, ReadOnly: true,
		Description: "Lists the files of this conversation: those that the user has given and those that you have written.",
		Parameters:  `{"type":"object","properties":{},"additionalProperties":false}`,
	},
	{
		Name: toolRead, ReadOnly: true,
		Description: "Reads a text file of this conversation, at most 64 KiB at once. What is left, and from which offset, is said at the end.",
		Parameters: `{"type":"object","properties":{` +
			`"file_id":{"type":"string","description":"The file's id, like file-01jd…"},` +
			`"offset":{"type":"integer","minimum":0,"default":0,"description":"The first byte to read"},` +
			`"length":{"type":"integer","minimum":1,"maximum":65536,"default":65536,"description":"How many bytes to read"}},` +
			`"required":["file_id"],"additionalProperties":false}`,
	},
	{
		Name: toolWrite, Idempotent: true,
		Description: "Writes a new text file for the user, of at most 1 MiB, and gives its id. A file that is there is never changed.",
		Parameters: `{"type":"object","properties":{` +
			`"name":{"type":"string","description":"The file's name, like report.md"},` +
			`"content":{"type":"string","description":"The whole text of the file"}},` +
			`"required":["name","content"],"additionalProperties":false}`,
	},
}

// fileTools is a toolbox with the tools for files that the agent's config asks
// for, before those of another toolbox.
type fileTools struct {
	x       *execution
	offered []sdk.Tool
	Toolbox
}

func newFileTools(x *execution, rest Toolbox) *fileTools {
	t := &fileTools{x: x, Toolbox: rest}
	patterns := toolPatterns(x.run.Config)
	for _, tool := range fileToolList {
		if slices.ContainsFunc(patterns, func(p string) bool { return core.MatchGlob(p, tool.Name) }) {
			t.offered = append(t.offered, tool)
		}
	}
	return t
}

// toolPatterns are those of an agent's config: names, or patterns like files__*.
func toolPatterns(config json.RawMessage) []string {
	var c struct {
		Tools []string `json:"tools"`
	}
	if json.Unmarshal(config, &c) != nil { // its type's schema may give the word another sense
		return nil
	}
	return c.Tools
}

func (t *fileTools) offers(name string) bool {
	return slices.ContainsFunc(t.offered, func(tool sdk.Tool) bool { return tool.Name == name })
}

// Tools implements Toolbox.
func (t *fileTools) Tools(ctx context.Context, run *core.Run) ([]sdk.Tool, error) {
	rest, err := t.Toolbox.Tools(ctx, run)
	if err != nil || len(t.offered) == 0 {
		return rest, err
	}
	tools := slices.Clone(t.offered)
	for _, tool := range rest {
		if !t.offers(tool.Name) {
			tools = append(tools, tool)
		}
	}
	return tools, nil
}

// Call implements Toolbox.
func (t *fileTools) Call(ctx context.Context, run *core.Run, number uint64, call sdk.ToolCall) (*sdk.ToolResult, error) {
	if !t.offers(call.Name) {
		return t.Toolbox.Call(ctx, run, number, call)
	}
	var in fileArguments
	if err := in.read(call.Arguments); err != nil {
		return toolFailure("the arguments can't be used: %s", err), nil
	}
	switch call.Name {
	case toolList:
		return t.list(ctx)
	case toolRead:
		return t.read(ctx, in)
	default:
		return t.write(ctx, number, in)
	}
}

// fileArguments are those of all the tools. Numbers are floats, for some models
// write 10.0.
type fileArguments struct {
	FileID  string  `json:"file_id"`
	Offset  float64 `json:"offset"`
	Length  float64 `json:"length"`
	Name    *string `json:"name"`
	Content *string `json:"content"`
}

func (a *fileArguments) read(arguments string) error {
	a.Length = maxToolRead
	if strings.TrimSpace(arguments) == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(arguments), a); err != nil {
		return err
	}
	if a.Offset < 0 || a.Length < 1 {
		return fmt.Errorf("offset must be at least 0, and length at least 1")
	}
	a.Offset, a.Length = min(a.Offset, 1<<53), min(a.Length, maxToolRead)
	return nil
}

func (t *fileTools) list(ctx context.Context) (*sdk.ToolResult, error) {
	type entry struct {
		ID          string `json:"id"`
		Name        string `json:"name"`
		ContentType string `json:"content_type"`
		Size        int64  `json:"size"`
	}
	files := []entry{}
	for _, named := range t.x.files.all() {
		f, err := t.x.file(ctx, named.ID)
		if core.CodeOf(err) == core.CodeNotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		files = append(files, entry{f.ID, f.Name, f.ContentType, f.Size})
	}
	return textResult(string(marshal(struct {
		Files []entry `json:"files"`
	}{files}))), nil
}

func textResult(text string) *sdk.ToolResult {
	return &sdk.ToolResult{Parts: []sdk.Part{{Text: text}}}
}

func (t *fileTools) read(ctx context.Context, in fileArguments) (*sdk.ToolResult, error) {
	f, err := t.x.file(ctx, in.FileID)
	if core.CodeOf(err) == core.CodeNotFound {
		return toolFailure("this conversation has no file %q", in.FileID), nil
	}
	if err != nil {
		return nil, err
	}
	if !f.Ref().IsText() {
		return toolFailure("the file %s is %s: only text can be read", f.Name, f.ContentType), nil
	}
	offset := int64(in.Offset)
	data, err := t.x.read(ctx, f, offset, int64(in.Length))
	if err != nil {
		return nil, err
	}
	if len(data) == 0 {
		return textResult(fmt.Sprintf("[nothing is left at %d: the file has %d bytes]", offset, f.Size)), nil
	}
	end := offset + int64(len(data))
	if whole := wholeRunes(data); end < f.Size && len(whole) > 0 {
		data, end = whole, offset+int64(len(whole))
	}
	text := plainText(data)
	if end < f.Size {
		text += fmt.Sprintf("\n[bytes %d to %d of %d; go on with the offset %d]", offset, end, f.Size, end)
	}
	return textResult(text), nil
}

// write makes a file whose id is the call's: a call that is repeated after a
// crash finds the file that it has made.
func (t *fileTools) write(ctx context.Context, number uint64, in fileArguments) (*sdk.ToolResult, error) {
	if in.Name == nil || in.Content == nil {
		return toolFailure("name and content must be given"), nil
	}
	if len(*in.Content) > maxToolWrite {
		return toolFailure("the content has %d bytes, and %d is the most: write several files", len(*in.Content), maxToolWrite), nil
	}
	name := path.Base(strings.ReplaceAll(*in.Name, `\`, "/"))
	if err := core.CheckFileName("name", name); err != nil {
		return toolFailure("%s", toSDK(err).Message), nil
	}
	if t.x.engine.Files == nil {
		return nil, errNoFiles()
	}
	run := t.x.run
	f, err := t.x.engine.Files.Upload(ctx, t.x.actor(), &core.Upload{
		ID:   core.DerivedID("file", run.CreatedAt, fmt.Sprintf("%s %d", run.ID, number)),
		Name: name, Body: strings.NewReader(*in.Content),
	})
	if err != nil {
		return nil, err
	}
	return &sdk.ToolResult{Parts: []sdk.Part{{Text: "The file is written."}, {File: f.Ref()}}}, nil
}

// remember notes the files that a call has written, once it is recorded.
func (x *execution) remember(number uint64, tool string, result *sdk.ToolResult) {
	if tool != toolWrite || !x.toolbox.offers(tool) || result == nil {
		return
	}
	for _, p := range result.Parts {
		if p.File != nil {
			x.files.wrote(number, *p.File)
		}
	}
}

// recall does so for a call that was recorded before the run was cut.
func (x *execution) recall(c *core.Call) {
	if c.Kind != core.CallTool || !c.Done || !x.toolbox.offers(toolWrite) {
		return
	}
	var call struct {
		Name string `json:"name"`
	}
	var result agent.Result
	if json.Unmarshal(c.Request, &call) == nil && json.Unmarshal(c.Result, &result) == nil {
		x.remember(c.Number, call.Name, result.ToolResult)
	}
}
