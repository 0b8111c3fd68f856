package config

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hcldec"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/agentarea/agentarea/sdk"
)

// Decode checks the config block against the schema of its plugin and returns it as a JSON object with
// defaults. The error is an *Error if the config is invalid, and another error if the schema is. Decode is
// safe for concurrent use.
func (s *Block) Decode(schema sdk.Block) ([]byte, error) {
	spec, err := specOf(schema)
	if err != nil {
		return nil, fmt.Errorf("the config schema of %s is invalid: %w", s.Command, err)
	}
	body, header := &hclsyntax.Body{SrcRange: s.header, EndRange: s.header}, s.header
	if s.config != nil {
		body, header = s.config.Body, s.config.DefRange()
	}
	d := &decoder{owner: "the config of " + s.Command}
	d.shape(body, header, schema)
	if err := d.err(); err != nil {
		return nil, err
	}
	val, diags := hcldec.Decode(body, spec, s.scope.eval)
	d.addHCL(diags)
	if err := d.err(); err != nil {
		return nil, err
	}
	out, err := d.object(body, val, schema)
	if err != nil {
		return nil, err
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.secrets = d.secrets
	s.mu.Unlock()
	return out, nil
}

// specOf returns the specification of a schema for hcldec. The attributes have no types, because hcldec
// would convert 5 to "5".
func specOf(schema sdk.Block) (hcldec.ObjectSpec, error) {
	spec := hcldec.ObjectSpec{}
	for _, a := range schema.Attributes {
		if _, err := typeOf(a.Type); err != nil {
			return nil, fmt.Errorf("attribute %s: %w", a.Name, err)
		}
		if a.Default != "" && !json.Valid([]byte(a.Default)) {
			return nil, fmt.Errorf("attribute %s: the default is not JSON", a.Name)
		}
		if spec[a.Name] != nil {
			return nil, fmt.Errorf("%s is defined twice", a.Name)
		}
		spec[a.Name] = &hcldec.AttrSpec{Name: a.Name, Type: cty.DynamicPseudoType}
	}
	for _, b := range schema.Blocks {
		nested, err := specOf(b.Block)
		if err != nil {
			return nil, fmt.Errorf("block %s: %w", b.Name, err)
		}
		if spec[b.Name] != nil {
			return nil, fmt.Errorf("%s is defined twice", b.Name)
		}
		if b.Max == 1 {
			spec[b.Name] = &hcldec.BlockSpec{TypeName: b.Name, Nested: nested, Required: b.Min > 0}
			continue
		}
		spec[b.Name] = &hcldec.BlockTupleSpec{TypeName: b.Name, Nested: nested, MinItems: b.Min, MaxItems: b.Max}
	}
	return spec, nil
}

// typeOf parses a type of the HCL type language, such as list(string).
func typeOf(text string) (cty.Type, error) {
	expr, diags := hclsyntax.ParseExpression([]byte(text), "type", hcl.InitialPos)
	if diags.HasErrors() {
		return cty.NilType, fmt.Errorf("%q is not a type", text)
	}
	t, diags := typeexpr.TypeConstraint(expr)
	if diags.HasErrors() {
		return cty.NilType, fmt.Errorf("%q is not a type", text)
	}
	return t, nil
}

// decoder decodes one config block and collects its problems.
type decoder struct {
	problems
	owner   string
	secrets []string
}

// shape checks that a body has only known names and all required attributes.
func (d *decoder) shape(body *hclsyntax.Body, header hcl.Range, schema sdk.Block) {
	var attrs, blocks []string
	for _, a := range schema.Attributes {
		attrs = append(attrs, a.Name)
		if a.Required && body.Attributes[a.Name] == nil {
			d.missing(header, a)
		}
	}
	for _, b := range schema.Blocks {
		blocks = append(blocks, b.Name)
	}
	d.names(body, d.owner, attrs, blocks)
	for _, b := range body.Blocks {
		i := slices.Index(blocks, b.Type)
		switch {
		case i < 0:
		case len(b.Labels) > 0:
			d.add(b.LabelRanges[0], "A "+b.Type+" block has no label", "", "write "+b.Type+" { … }")
		default:
			d.shape(b.Body, b.DefRange(), schema.Blocks[i].Block)
		}
	}
}

func (d *decoder) missing(rng hcl.Range, a sdk.Attribute) {
	detail := d.owner + " requires it"
	if a.Description != "" {
		detail += ": " + a.Description
	}
	d.add(rng, fmt.Sprintf("Missing %q", a.Name), detail, "add "+a.Name+" = …")
}

// object returns a decoded body as JSON, without missing blocks and without missing attributes that have no
// default.
func (d *decoder) object(body *hclsyntax.Body, val cty.Value, schema sdk.Block) (json.RawMessage, error) {
	out := map[string]json.RawMessage{}
	for _, a := range schema.Attributes {
		raw, err := d.attribute(body, val.GetAttr(a.Name), a)
		if err != nil {
			return nil, err
		}
		if raw != nil {
			out[a.Name] = raw
		}
	}
	for _, b := range schema.Blocks {
		raw, err := d.blocks(body, val.GetAttr(b.Name), b)
		if err != nil {
			return nil, err
		}
		if raw != nil {
			out[b.Name] = raw
		}
	}
	return json.Marshal(out)
}

func (d *decoder) attribute(body *hclsyntax.Body, v cty.Value, a sdk.Attribute) (json.RawMessage, error) {
	written := body.Attributes[a.Name]
	if v.IsNull() {
		if a.Required && written != nil {
			d.missing(written.NameRange, a)
		}
		if a.Default == "" {
			return nil, nil
		}
		return json.RawMessage(a.Default), nil
	}
	want, err := typeOf(a.Type)
	if err != nil {
		return nil, err
	}
	v, terr := strict(v, want)
	if terr != nil {
		d.wrongType(written, terr)
		return nil, nil
	}
	if a.Secret {
		d.secrets = append(d.secrets, secretTexts(v)...)
	}
	return ctyjson.Marshal(v, v.Type())
}

func (d *decoder) blocks(body *hclsyntax.Body, v cty.Value, b sdk.NestedBlock) (json.RawMessage, error) {
	bodies := bodiesOf(body, b.Name)
	if b.Max == 1 {
		if v.IsNull() || len(bodies) == 0 {
			return nil, nil
		}
		return d.object(bodies[0], v, b.Block)
	}
	out := []json.RawMessage{}
	for i, e := range v.AsValueSlice() {
		raw, err := d.object(bodies[i], e, b.Block)
		if err != nil {
			return nil, err
		}
		out = append(out, raw)
	}
	return json.Marshal(out)
}

func bodiesOf(body *hclsyntax.Body, name string) []*hclsyntax.Body {
	var out []*hclsyntax.Body
	for _, b := range body.Blocks {
		if b.Type == name {
			out = append(out, b.Body)
		}
	}
	return out
}

// secretTexts returns the non-empty strings in a value.
func secretTexts(v cty.Value) []string {
	var out []string
	_ = cty.Walk(v, func(_ cty.Path, e cty.Value) (bool, error) {
		if e.Type() == cty.String && !e.IsNull() && e.AsString() != "" {
			out = append(out, e.AsString())
		}
		return true, nil
	})
	return out
}
