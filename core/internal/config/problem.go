package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Error has the problems of a plugins.hcl. Its text has a line for each problem, in the order of the file.
type Error struct {
	Problems []Problem
}

// Problem is an error in plugins.hcl and its position.
type Problem struct {
	Range hcl.Range
	// Text is the summary, the detail and, in brackets, the remedy.
	Text string
}

func (p Problem) String() string { return p.Range.String() + ": " + p.Text }

func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// problems collects problems, so that all of them are reported at once.
type problems struct {
	list []Problem
}

func (ps *problems) add(rng hcl.Range, summary, detail, remedy string) {
	text := oneLine(summary)
	if detail != "" {
		text += "; " + oneLine(detail)
	}
	if remedy != "" {
		text += " (" + oneLine(remedy) + ")"
	}
	ps.list = append(ps.list, Problem{Range: rng, Text: text})
}

func (ps *problems) addHCL(diags hcl.Diagnostics) {
	for _, d := range diags {
		if d.Severity != hcl.DiagError {
			continue
		}
		var rng hcl.Range
		if d.Subject != nil {
			rng = *d.Subject
		}
		ps.add(rng, d.Summary, strings.TrimSuffix(d.Detail, "."), "")
	}
}

// failed reports whether a problem overlaps the range.
func (ps *problems) failed(rng hcl.Range) bool {
	return slices.ContainsFunc(ps.list, func(p Problem) bool { return rng.Overlaps(p.Range) })
}

func (ps *problems) err() error {
	if len(ps.list) == 0 {
		return nil
	}
	slices.SortStableFunc(ps.list, func(a, b Problem) int { return a.Range.Start.Byte - b.Range.Start.Byte })
	return &Error{Problems: ps.list}
}

// names adds a problem for each attribute and block of a body that is not in attrs or blocks. owner names
// the body in the problems.
func (ps *problems) names(body *hclsyntax.Body, owner string, attrs, blocks []string) {
	for name, a := range body.Attributes {
		switch {
		case slices.Contains(attrs, name):
		case slices.Contains(blocks, name):
			ps.add(a.NameRange, fmt.Sprintf("%q is a block", name), "it has no value", "write "+name+" { … }")
		default:
			ps.unknown(a.NameRange, name, owner, attrs, blocks)
		}
	}
	for _, b := range body.Blocks {
		switch {
		case slices.Contains(blocks, b.Type):
		case slices.Contains(attrs, b.Type):
			ps.add(b.TypeRange, fmt.Sprintf("%q is not a block", b.Type), "it has a value", "write "+b.Type+" = …")
		default:
			ps.unknown(b.TypeRange, b.Type, owner, attrs, blocks)
		}
	}
}

func (ps *problems) unknown(rng hcl.Range, name, owner string, attrs, blocks []string) {
	all := slices.Concat(attrs, blocks)
	detail := owner + " has no settings"
	if len(all) > 0 {
		detail = owner + " has the settings " + strings.Join(all, ", ")
	}
	remedy := ""
	if near := nearest(name, all); near != "" {
		remedy = "did you mean " + near + "?"
	}
	ps.add(rng, fmt.Sprintf("Unknown name %q", name), detail, remedy)
}

// nearest returns the name that is most similar to given, or "" if none is similar enough. The maximum
// distance is smaller for short words.
func nearest(given string, names []string) string {
	best, bestDistance := "", min(3, len(given))
	for _, n := range names {
		if d := levenshtein.Distance(given, n, nil); d < bestDistance {
			best, bestDistance = n, d
		}
	}
	return best
}

// oneLine replaces every sequence of white space by one space.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
