package config

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// enableVariable returns the name of the first environment variable that the
// enabled attribute of a plugin block reads with env("NAME"), or "" if there is
// none.
func enableVariable(body *hclsyntax.Body) string {
	enabled := body.Attributes["enabled"]
	if enabled == nil {
		return ""
	}
	name := ""
	_ = hclsyntax.VisitAll(enabled.Expr, func(node hclsyntax.Node) hcl.Diagnostics {
		call, ok := node.(*hclsyntax.FunctionCallExpr)
		if !ok || name != "" || call.Name != "env" || len(call.Args) != 1 {
			return nil
		}
		if v, diags := call.Args[0].Value(nil); !diags.HasErrors() && v.Type() == cty.String && v.IsKnown() && !v.IsNull() {
			name = v.AsString()
		}
		return nil
	})
	return name
}
