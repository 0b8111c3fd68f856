package config

import (
	"fmt"
	"strconv"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// typeError describes a value of the wrong type at a path inside an attribute's value.
type typeError struct {
	path           []string
	detail, remedy string
}

// strict converts v to the type want without the implicit conversions of HCL: 5 is not a string. Only a
// string with a number or a bool is converted to one, because env() returns strings.
func strict(v cty.Value, want cty.Type) (cty.Value, *typeError) {
	if terr := check(v, want, nil); terr != nil {
		return cty.NilVal, terr
	}
	out, err := convert.Convert(v, want)
	if err != nil {
		return cty.NilVal, &typeError{detail: "must be " + typeName(want) + ": " + err.Error()}
	}
	return out, nil
}

// check returns an error if strict must not convert v to the type want.
func check(v cty.Value, want cty.Type, path []string) *typeError {
	got := v.Type()
	wrong := &typeError{path: path, detail: "must be " + typeName(want) + ", not " + typeName(got), remedy: remedies[want]}
	switch {
	case want == cty.DynamicPseudoType:
		return nil
	case v.IsNull():
		wrong.detail = "must be " + typeName(want) + ", not null"
		return wrong
	case want == cty.Number || want == cty.Bool:
		if _, err := convert.Convert(v, want); err != nil || got != cty.String && got != want {
			return wrong
		}
	case want.IsPrimitiveType():
		if got != want {
			return wrong
		}
	case want.IsListType() || want.IsSetType():
		if !got.IsTupleType() && !got.IsListType() && !got.IsSetType() {
			wrong.remedy = "write [ … ]"
			return wrong
		}
		return checkElements(v, want.ElementType(), path)
	case want.IsMapType():
		if !got.IsObjectType() && !got.IsMapType() {
			wrong.remedy = "write { name = value }"
			return wrong
		}
		return checkElements(v, want.ElementType(), path)
	}
	return nil
}

func checkElements(v cty.Value, want cty.Type, path []string) *typeError {
	i := 0
	for it := v.ElementIterator(); it.Next(); i++ {
		k, e := it.Element()
		step := strconv.Itoa(i)
		if k.Type() == cty.String {
			step = k.AsString()
		}
		if terr := check(e, want, append(path[:len(path):len(path)], step)); terr != nil {
			return terr
		}
	}
	return nil
}

var remedies = map[cty.Type]string{
	cty.String: "write it in quotes",
	cty.Number: "write a number",
	cty.Bool:   "write true or false",
}

// typeName returns the name of a type with its article.
func typeName(t cty.Type) string {
	switch {
	case t == cty.Bool:
		return "true or false"
	case t.IsTupleType():
		return "a list"
	case t.IsListType() || t.IsSetType():
		return "a list of " + t.ElementType().FriendlyName() + "s"
	case t.IsMapType():
		return "a map of " + t.ElementType().FriendlyName() + "s"
	case t.IsObjectType():
		return "a map"
	}
	return "a " + t.FriendlyName()
}

// wrongType adds a problem at the position of the wrong value.
func (ps *problems) wrongType(a *hclsyntax.Attribute, terr *typeError) {
	rng := a.NameRange
	if len(terr.path) > 0 {
		rng = inside(a.Expr, terr.path)
	}
	name := a.Name
	for _, step := range terr.path {
		if _, err := strconv.Atoi(step); err == nil {
			name += "[" + step + "]"
		} else {
			name += "." + step
		}
	}
	ps.add(rng, "Wrong type", fmt.Sprintf("%s %s", name, terr.detail), terr.remedy)
}

// texts returns the elements of a list of strings.
func texts(v cty.Value) []string {
	var out []string
	for it := v.ElementIterator(); it.Next(); {
		_, e := it.Element()
		out = append(out, e.AsString())
	}
	return out
}
