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

// literalTexts returns the texts of an attribute that is a list of literals. It returns nil for any other attribute.
func literalTexts(a *hclsyntax.Attribute) []string {
	if a == nil {
		return nil
	}
	v, diags := a.Expr.Value(nil)
	if diags.HasErrors() || !v.IsWhollyKnown() || v.IsNull() || !v.CanIterateElements() {
		return nil
	}
	var all []string
	for _, e := range v.AsValueSlice() {
		if e.Type() != cty.String || e.IsNull() {
			return nil
		}
		all = append(all, e.AsString())
	}
	return all
}
