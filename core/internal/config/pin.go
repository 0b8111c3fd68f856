package config

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

// Pin returns the text of a plugins.hcl in which each block named in pins has that sha256. It
// changes nothing else and keeps the comments.
func Pin(src []byte, filename string, pins map[string]string) ([]byte, error) {
	file, diags := hclwrite.ParseConfig(src, filename, hcl.InitialPos)
	if diags.HasErrors() {
		var ps problems
		ps.addHCL(diags)
		return nil, ps.err()
	}
	for _, block := range file.Body().Blocks() {
		labels := block.Labels()
		if block.Type() != "plugin" || len(labels) != 2 {
			continue
		}
		if sum := pins[labels[0]+"/"+labels[1]]; sum != "" {
			block.Body().SetAttributeValue("sha256", cty.StringVal(sum))
		}
	}
	return file.Bytes(), nil
}
