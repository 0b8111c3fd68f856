package mcp

import (
	"fmt"
	"path"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/agentarea/agentarea/sdk"
)

// result makes what a tool gave into what a model is given.
func (l Limits) result(r *mcp.CallToolResult) *sdk.ToolResult {
	c := content{text: l.Text, blobs: l.Blobs}
	for _, piece := range r.Content {
		c.add(piece)
	}
	if !c.said && r.StructuredContent != nil {
		c.addText(string(encode(r.StructuredContent)))
	}
	if c.lost > 0 {
		c.note(fmt.Sprintf("[cut: %d more bytes of text; %d is the most]", c.lost, l.Text))
	}
	return &sdk.ToolResult{Parts: c.parts, IsError: r.IsError}
}

// content gathers the parts of a result. Texts that follow one another are one.
type content struct {
	parts []sdk.Part
	// said says that there is a text of the tool's.
	said bool
	// text and blobs are how many bytes still fit, and lost is how many of text
	// did not.
	text, blobs, lost int
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
	}
}

func (c *content) addText(text string) {
	if text == "" {
		return
	}
	c.said = true
	// No database takes a NUL in a text.
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
	if c.lost > 0 { // the rest of a text does not follow on what was cut
		c.lost += len(text)
		return
	}
	if len(text) > c.text {
		whole := strings.TrimSuffix(cut(text, c.text), "…")
		c.lost += len(text) - len(whole)
		text = whole
	}
	c.text -= len(text)
	c.note(text)
}

// note adds a text, which may be of ours, to the text before it.
func (c *content) note(text string) {
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
	if len(data) > c.blobs {
		c.note(fmt.Sprintf("[%s %s of %d bytes left out: there is no room for it]", what, cut(mediaType, 100), len(data)))
		return
	}
	c.blobs -= len(data)
	c.parts = append(c.parts, sdk.Part{Blob: &sdk.Blob{MediaType: mediaType, Data: data, Name: name}})
}

func (c *content) addResource(r *mcp.ResourceContents) {
	switch {
	case r == nil:
	case r.Blob == nil:
		c.addText(fmt.Sprintf("[resource %s]\n%s", r.URI, r.Text))
	case (&sdk.File{MediaType: r.MIMEType}).IsText():
		c.addText(fmt.Sprintf("[resource %s]\n%s", r.URI, r.Blob))
	default:
		c.note("[resource " + cut(r.URI, maxReason) + "]")
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
