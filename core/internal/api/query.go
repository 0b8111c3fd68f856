package api

import (
	"cmp"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/agentarea/agentarea/core"
)

// checkParameters returns the middleware that rejects query parameters which the operation does not have, and path and
// query parameters which the database cannot store: with NUL, or with invalid UTF-8.
func checkParameters(h huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		params := ctx.Operation().Parameters
		for _, p := range params {
			var v string
			switch p.In {
			case "path":
				v = ctx.Param(p.Name)
			case "query":
				v = ctx.Query(p.Name)
			default:
				continue
			}
			if issue := textIssue(v); issue != "" {
				writeHumaError(h, ctx, core.Invalid(p.Name, "%s", issue))
				return
			}
		}
		if r, _ := humachi.Unwrap(ctx); r.URL.RawQuery != "" {
			if err := CheckQuery(r, queryNames(params)); err != nil {
				writeHumaError(h, ctx, err)
				return
			}
		}
		next(ctx)
	}
}

// queryNames returns the sorted names of the query parameters.
func queryNames(params []*huma.Param) []string {
	var names []string
	for _, p := range params {
		if p.In == "query" {
			names = append(names, p.Name)
		}
	}
	slices.Sort(names)
	return names
}

// CheckQuery fails with Invalid if the query of a request has a parameter that is not known, or one more than once, or
// if it is malformed. Operations do not need it.
func CheckQuery(r *http.Request, known []string) error {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return core.Invalid("query", "Must be a valid query string, such as ?limit=10&offset=20. "+
			"Percent-encode special characters in values.")
	}
	e := &core.Error{Code: core.CodeValidation, Message: "Invalid request data"}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		text := strings.ToValidUTF8(name, "\uFFFD")
		field := core.FieldError{Field: cmp.Or(text, "query")}
		switch {
		case !slices.Contains(known, name):
			field.Issue = core.UnknownParameter(text, known)
		case len(values[name]) > 1:
			field.Issue = "Must be sent only once"
		default:
			continue
		}
		if e.Fields = append(e.Fields, field); len(e.Fields) == maxFieldErrors {
			break
		}
	}
	if len(e.Fields) == 0 {
		return nil
	}
	return e
}

// textIssue returns the reason why a text is invalid, or "" if it is valid.
func textIssue(s string) string {
	switch {
	case strings.IndexByte(s, 0) >= 0:
		return "Must not contain a NUL character"
	case !utf8.ValidString(s):
		return "Must be valid UTF-8"
	default:
		return ""
	}
}
