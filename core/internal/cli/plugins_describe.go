package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/agentarea/agentarea/sdk"
)

// pluginsDescribeCommand is agentarea plugins describe.
type pluginsDescribeCommand struct {
	Binary string `arg:"" help:"The plugin's program." placeholder:"BINARY"`
}

// Run starts the program and prints a block for plugins.hcl.
func (c *pluginsDescribeCommand) Run(ctx context.Context, out *output) error {
	dir, err := os.MkdirTemp("", "agentarea-describe-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p, err := newHost(dir, out.stderr).Inspect(ctx, c.Binary)
	if err != nil {
		return err
	}
	var text strings.Builder
	fmt.Fprintf(&text, "# %s %s: %s\n", p.Name, p.Version, p.Description.Description)
	if len(p.Capabilities) > 0 {
		fmt.Fprintf(&text, "# Capabilities: %s\n", strings.Join(p.Capabilities, ", "))
	}
	label := strings.TrimPrefix(p.Name, p.Kind+"-")
	fmt.Fprintf(&text, "plugin %q %q {\n  command = %q\n", p.Kind, label, filepath.Base(c.Binary))
	if len(p.Schema.Attributes)+len(p.Schema.Blocks) > 0 {
		text.WriteString("  config {\n")
		describeBlock(&text, p.Schema, "    ")
		text.WriteString("  }\n")
	}
	text.WriteString("}\n")
	_, err = io.WriteString(out.stdout, text.String())
	return err
}

// describeBlock writes a line for each attribute. The line is a comment unless the attribute is
// required.
func describeBlock(out *strings.Builder, b sdk.Block, indent string) {
	for _, a := range b.Attributes {
		value, prefix := a.Default, "# "
		if value == "" {
			value = exampleValue(a)
		}
		if a.Required {
			prefix = ""
		}
		fmt.Fprintf(out, "%s%s%s = %s   # %s", indent, prefix, a.Name, value, a.Type)
		if a.Description != "" {
			fmt.Fprintf(out, ": %s", a.Description)
		}
		out.WriteString("\n")
	}
	for _, n := range b.Blocks {
		fmt.Fprintf(out, "%s%s {   # %s\n", indent, n.Name, n.Description)
		describeBlock(out, n.Block, indent+"  ")
		fmt.Fprintf(out, "%s}\n", indent)
	}
}

// exampleValue returns an example of an attribute without a default.
func exampleValue(a sdk.Attribute) string {
	switch {
	case a.Secret && a.Type == "string":
		return fmt.Sprintf("env(%q)", strings.ToUpper(a.Name))
	case a.Type == "number":
		return "0"
	case a.Type == "bool":
		return "false"
	case strings.HasPrefix(a.Type, "list"):
		return "[]"
	case strings.HasPrefix(a.Type, "map"):
		return "{}"
	}
	return `""`
}
