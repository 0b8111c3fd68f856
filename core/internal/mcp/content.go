package mcp

import (
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/agentarea/agentarea/sdk"
)

// result converts the result of a tool into a result for the model.
func (l Limits) result(r *mcp.CallToolResult) *sdk.ToolResult {
	c := content{textBudget: l.Text, blobBudget: l.Blobs}
	for _, piece := range r.Content {
		c.add(piece)
	}
	if !c.hasText && r.StructuredContent != nil {
		c.addText(string(encode(r.StructuredContent)))
	}
	if c.truncated > 0 {
		c.appendText(fmt.Sprintf("[truncated: %d more bytes of text; the maximum is %d]", c.truncated, l.Text))
	}
	return &sdk.ToolResult{Parts: c.parts, IsError: r.IsError}
}

// content collects the parts of a result. It joins consecutive texts.
type content struct {
	parts []sdk.Part
	// hasText reports whether the tool returned text.
	hasText bool
	// textBudget and blobBudget are the numbers of bytes that still fit. truncated is
	// the number of bytes of text that did not fit.
	textBudget, blobBudget, truncated int
}

func (c *content) add(piece mcp.Content) {
	switch p := piece.(type) {
	case *mcp.TextContent:
		c.addText(p.Text)
	case *mcp.ImageContent:
		c.addBlob("image", p.MIMEType, "", p.Data)
	case *mcp.AudioContent:
		c.addBlob("audio", p.MIMEType, "", p.Data)
	case *mcp.ResourceLink:
		c.addText(linkText(p))
	case *mcp.EmbeddedResource:
		c.addResource(p.Resource)
	case *mcp.ToolUseContent: //nolint:staticcheck // servers still send it
		c.appendText(unknownNote("tool_use"))
	case *mcp.ToolResultContent: //nolint:staticcheck // servers still send it
		c.appendText(unknownNote("tool_result"))
	default:
		c.appendText(unknownNote(""))
	}
}

func (c *content) addText(text string) {
	if text == "" {
		return
	}
	c.hasText = true
	// Databases reject NUL in text.
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
	if c.truncated > 0 { // later text must not follow a truncated one
		c.truncated += len(text)
		return
	}
	if len(text) > c.textBudget {
		kept := strings.TrimSuffix(truncate(text, c.textBudget), "…")
		c.truncated += len(text) - len(kept)
		text = kept
	}
	c.textBudget -= len(text)
	c.appendText(text)
}

// appendText appends a text, which may be a note of the host, to the previous text.
func (c *content) appendText(text string) {
	if text == "" {
		return
	}
	if n := len(c.parts); n > 0 && c.parts[n-1].Blob == nil {
		c.parts[n-1].Text += "\n" + text
		return
	}
	c.parts = append(c.parts, sdk.Part{Text: text})
}

func (c *content) addBlob(what, mediaType, name string, data []byte) {
	if mediaType == "" {
		mediaType = "application/octet-stream"
	}
	if len(data) > c.blobBudget {
		c.appendText(fmt.Sprintf("[%s %s of %d bytes omitted: the result is too large]",
			what, truncate(mediaType, 100), len(data)))
		return
	}
	c.blobBudget -= len(data)
	c.parts = append(c.parts, sdk.Part{Blob: &sdk.Blob{MediaType: mediaType, Data: data, Name: name}})
}

func (c *content) addResource(r *mcp.ResourceContents) {
	switch {
	case r == nil:
		c.appendText(invalidNote("resource"))
	case r.Blob == nil:
		c.addText(fmt.Sprintf("[resource %s]\n%s", r.URI, r.Text))
	case (&sdk.File{MediaType: r.MIMEType}).IsText():
		c.addText(fmt.Sprintf("[resource %s]\n%s", r.URI, r.Blob))
	default:
		c.appendText("[resource " + truncate(r.URI, maxReason) + "]")
		c.addBlob("resource", r.MIMEType, path.Base(r.URI), r.Blob)
	}
}

func linkText(l *mcp.ResourceLink) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[resource %s", l.URI)
	for _, more := range []string{l.Name, l.MIMEType} {
		if more != "" {
			b.WriteString(", " + more)
		}
	}
	if l.Size != nil {
		fmt.Fprintf(&b, ", %d bytes", *l.Size)
	}
	b.WriteString("]")
	if l.Description != "" {
		b.WriteString(" " + l.Description)
	}
	return b.String()
}

// encode encodes v, which must be encodable.
func encode(v any) json.RawMessage {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}
