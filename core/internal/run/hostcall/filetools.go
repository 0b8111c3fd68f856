package hostcall

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/run/journal"
	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/agent"
)

// The tools for the files of a conversation.
const (
	toolList  = core.FileToolPrefix + "list"
	toolRead  = core.FileToolPrefix + "read"
	toolWrite = core.FileToolPrefix + "write"
)

const (
	// maxToolRead is the maximum number of bytes that one files__read returns.
	maxToolRead = 64 << 10
	// maxToolWrite is the maximum number of bytes that one files__write accepts.
	maxToolWrite = 1 << 20
)

var fileTools = []sdk.Tool{
	{
		Name: toolList, ReadOnly: true,
		Description: "Lists the files of this conversation: " +
			"those that the user has attached and those that you have written.",
		Parameters: `{"type":"object","properties":{},"additionalProperties":false}`,
	},
	{
		Name: toolRead, ReadOnly: true,
		Description: "Reads a text file of this conversation, at most 64 KiB per call. " +
			"If more text follows, the result ends with the offset to continue from.",
		Parameters: `{"type":"object","properties":{` +
			`"file_id":{"type":"string","description":"The file's id, such as file-01jd…"},` +
			`"offset":{"type":"integer","minimum":0,"default":0,"description":"The first byte to read"},` +
			`"length":{"type":"integer","minimum":1,"maximum":65536,"default":65536,` +
			`"description":"The number of bytes to read"}},` +
			`"required":["file_id"],"additionalProperties":false}`,
	},
	{
		Name: toolWrite, Idempotent: true,
		Description: "Writes a new text file of at most 1 MiB for the user and returns its id. " +
			"Never changes an existing file.",
		Parameters: `{"type":"object","properties":{` +
			`"name":{"type":"string","description":"The file's name, such as report.md"},` +
			`"content":{"type":"string","description":"The complete text of the file"}},` +
			`"required":["name","content"],"additionalProperties":false}`,
	},
}

// FileTools is a Toolbox that adds the file tools that the agent's config enables to
// another Toolbox. A file tool replaces a tool of the same name.
type FileTools struct {
	Toolbox
	files   *Files
	enabled []sdk.Tool
}

// NewFileTools returns the tools of rest and the file tools that match one of patterns: names,
// or patterns such as files__*.
func NewFileTools(rest Toolbox, files *Files, patterns []string) *FileTools {
	t := &FileTools{Toolbox: rest, files: files}
	for _, tool := range fileTools {
		if slices.ContainsFunc(patterns, func(p string) bool { return core.MatchGlob(p, tool.Name) }) {
			t.enabled = append(t.enabled, tool)
		}
	}
	return t
}

func (t *FileTools) isEnabled(name string) bool {
	return slices.ContainsFunc(t.enabled, func(tool sdk.Tool) bool { return tool.Name == name })
}

// Tools implements Toolbox.
func (t *FileTools) Tools(ctx context.Context, run *core.Run) ([]sdk.Tool, error) {
	rest, err := t.Toolbox.Tools(ctx, run)
	if err != nil || len(t.enabled) == 0 {
		return rest, err
	}
	tools := slices.Clone(t.enabled)
	for _, tool := range rest {
		if !t.isEnabled(tool.Name) {
			tools = append(tools, tool)
		}
	}
	return tools, nil
}

// Call implements Toolbox.
func (t *FileTools) Call(
	ctx context.Context, run *core.Run, number uint64, call sdk.ToolCall,
) (*sdk.ToolResult, error) {
	if !t.isEnabled(call.Name) {
		return t.Toolbox.Call(ctx, run, number, call)
	}
	in, err := parseFileArguments(call.Arguments)
	if err != nil {
		return toolFailure("Invalid arguments: %s.", err), nil
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

// fileArguments are the arguments of all file tools. Numbers are floats, because some
// models write 10.0.
type fileArguments struct {
	FileID  string  `json:"file_id"`
	Offset  float64 `json:"offset"`
	Length  float64 `json:"length"`
	Name    *string `json:"name"`
	Content *string `json:"content"`
}

// parseFileArguments decodes the arguments of a call and applies defaults and limits.
func parseFileArguments(arguments string) (fileArguments, error) {
	a := fileArguments{Length: maxToolRead}
	if strings.TrimSpace(arguments) == "" {
		return a, nil
	}
	if err := json.Unmarshal([]byte(arguments), &a); err != nil {
		return a, err
	}
	if a.Offset < 0 || a.Length < 1 {
		return a, errors.New("offset must be at least 0 and length at least 1")
	}
	a.Offset, a.Length = min(a.Offset, 1<<53), min(a.Length, maxToolRead)
	return a, nil
}

func (t *FileTools) list(ctx context.Context) (*sdk.ToolResult, error) {
	type entry struct {
		ID          string `json:"id"`
		Name        string `json:"name"`
		ContentType string `json:"content_type"`
		Size        int64  `json:"size"`
	}
	files := []entry{}
	for _, named := range t.files.conversation.all() {
		f, err := t.files.file(ctx, named.ID)
		if core.CodeOf(err) == core.CodeNotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		files = append(files, entry{f.ID, f.Name, f.ContentType, f.Size})
	}
	return textResult(string(journal.Marshal(struct {
		Files []entry `json:"files"`
	}{files}))), nil
}

func textResult(text string) *sdk.ToolResult {
	return &sdk.ToolResult{Parts: []sdk.Part{{Text: text}}}
}

func (t *FileTools) read(ctx context.Context, in fileArguments) (*sdk.ToolResult, error) {
	f, err := t.files.file(ctx, in.FileID)
	if core.CodeOf(err) == core.CodeNotFound {
		return toolFailure("This conversation has no file %q.", in.FileID), nil
	}
	if err != nil {
		return nil, err
	}
	if !f.Ref().IsText() {
		return toolFailure("File %q has the type %s. Only text files can be read.", f.Name, f.ContentType), nil
	}
	offset := int64(in.Offset)
	data, err := t.files.read(ctx, f, offset, int64(in.Length))
	if err != nil {
		return nil, err
	}
	if len(data) == 0 {
		return textResult(fmt.Sprintf("[no bytes at offset %d: the file has %d bytes]", offset, f.Size)), nil
	}
	text, used := decodeText(data, f.ContentType, offset, f.Size)
	end := offset + int64(used)
	if end < f.Size {
		text += fmt.Sprintf("\n[bytes %d to %d of %d; continue with offset %d]", offset, end, f.Size, end)
	}
	return textResult(text), nil
}

func (t *FileTools) write(ctx context.Context, number uint64, in fileArguments) (*sdk.ToolResult, error) {
	if in.Name == nil || in.Content == nil {
		return toolFailure("The arguments name and content are required."), nil
	}
	if len(*in.Content) > maxToolWrite {
		return toolFailure("The content has %d bytes. The limit is %d bytes per file: split it into several files.",
			len(*in.Content), maxToolWrite), nil
	}
	name := path.Base(strings.ReplaceAll(*in.Name, `\`, "/"))
	if err := core.CheckFileName("name", name); err != nil {
		return toolFailure("%s", journal.Error(err).Message), nil
	}
	f, err := t.files.write(ctx, number, name, strings.NewReader(*in.Content))
	if err != nil {
		return nil, err
	}
	return &sdk.ToolResult{Parts: []sdk.Part{{Text: "File written."}, {File: f.Ref()}}}, nil
}

// addWritten adds the files of a recorded result of files__write to the conversation.
func (t *FileTools) addWritten(number uint64, tool string, result *sdk.ToolResult) {
	if tool != toolWrite || !t.isEnabled(tool) || result == nil {
		return
	}
	for _, p := range result.Parts {
		if p.File != nil {
			t.files.conversation.addWritten(number, *p.File)
		}
	}
}

// Restore adds the files that recorded calls have written to the conversation.
func (t *FileTools) Restore(calls []*core.Call) {
	if !t.isEnabled(toolWrite) {
		return
	}
	for _, c := range calls {
		if c.Kind != core.CallTool || !c.Done {
			continue
		}
		var call struct {
			Name string `json:"name"`
		}
		var result agent.Result
		if json.Unmarshal(c.Request, &call) == nil && json.Unmarshal(c.Result, &result) == nil {
			t.addWritten(c.Number, call.Name, result.ToolResult)
		}
	}
}
