package config

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/agentarea/agentarea/sdk"
)

// Diagnostics returns an *Error with the errors that a plugin reports about its config, each at the position
// of its value, or nil if there are only warnings.
func (s *Block) Diagnostics(diags []sdk.Diagnostic) error {
	ps := s.diagnostics(diags, false)
	return ps.err()
}

// Warnings returns the warnings that a plugin reports about its config.
func (s *Block) Warnings(diags []sdk.Diagnostic) []string {
	var out []string
	for _, p := range s.diagnostics(diags, true).list {
		out = append(out, p.String())
	}
	return out
}

func (s *Block) diagnostics(diags []sdk.Diagnostic, warnings bool) *problems {
	ps := &problems{}
	for _, d := range diags {
		if d.Warning != warnings {
			continue
		}
		summary := d.Summary
		if summary == "" {
			summary = fmt.Sprintf("%s rejected the config", s.Command)
		}
		ps.add(s.at(d.Path), s.Mask(summary), s.Mask(d.Detail), "")
	}
	return ps
}

// Mask replaces the secrets of the last decoded config in a text by ***.
func (s *Block) Mask(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, secret := range s.secrets {
		// Shorter secrets are too likely to be part of other words.
		if len(secret) >= 4 {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	return text
}

// at returns the position of the value at a path in the config block, or of the closest enclosing block if
// there is no such value.
func (s *Block) at(path []string) hcl.Range {
	if s.config == nil {
		return s.header
	}
	body, rng := s.config.Body, s.config.DefRange()
	for len(path) > 0 {
		name := path[0]
		path = path[1:]
		if a := body.Attributes[name]; a != nil {
			if len(path) == 0 {
				return a.NameRange
			}
			return inside(a.Expr, path)
		}
		index := 0
		if len(path) > 0 {
			if n, err := strconv.Atoi(path[0]); err == nil {
				index, path = n, path[1:]
			}
		}
		b := nthBlock(body, name, index)
		if b == nil {
			return rng
		}
		body, rng = b.Body, b.DefRange()
	}
	return rng
}

// nthBlock returns block number index, counted from 0, of the type name, or nil.
func nthBlock(body *hclsyntax.Body, name string, index int) *hclsyntax.Block {
	for _, b := range body.Blocks {
		if b.Type != name {
			continue
		}
		if index == 0 {
			return b
		}
		index--
	}
	return nil
}

// inside returns the position of the element at a path in a list or map literal, or of the closest enclosing
// expression.
func inside(e hclsyntax.Expression, path []string) hcl.Range {
	if len(path) == 0 {
		return e.Range()
	}
	step, rest := path[0], path[1:]
	switch e := e.(type) {
	case *hclsyntax.TupleConsExpr:
		if n, err := strconv.Atoi(step); err == nil && n >= 0 && n < len(e.Exprs) {
			return inside(e.Exprs[n], rest)
		}
	case *hclsyntax.ObjectConsExpr:
		for _, item := range e.Items {
			key, diags := item.KeyExpr.Value(nil)
			if !diags.HasErrors() && key.Type() == cty.String && !key.IsNull() && key.AsString() == step {
				return inside(item.ValueExpr, rest)
			}
		}
	}
	return e.Range()
}
