package e2e_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"
)

// operation is an operation of the OpenAPI document.
type operation struct {
	id    string
	route *routers.Route
	// If the path ends with a parameter, item is its name and collection is the path before it,
	// which lists the items.
	collection, item string
}

func (o operation) String() string { return o.route.Method + " " + o.route.Path }

// parameters returns the parameters of the operation and of its path.
func (o operation) parameters(in string) []*openapi3.Parameter {
	var out []*openapi3.Parameter
	for _, list := range []openapi3.Parameters{o.route.PathItem.Parameters, o.route.Operation.Parameters} {
		for _, p := range list {
			if p.Value.In == in {
				out = append(out, p.Value)
			}
		}
	}
	return out
}

// document returns the server's OpenAPI document and its operations, sorted by id.
func (s *server) document() (*openapi3.T, []operation) {
	s.t.Helper()
	c := &client{t: s.t, url: s.url}
	doc, err := openapi3.NewLoader().LoadFromData(c.get("/openapi.json").want(s.t, 200).body)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := doc.Validate(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	var out []operation
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			o := operation{
				id: op.OperationID, route: &routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: op},
			}
			if at := strings.LastIndex(path, "/{"); at >= 0 && strings.HasSuffix(path, "}") {
				o.collection, o.item = path[:at], path[at+2:len(path)-1]
			}
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b operation) int { return strings.Compare(a.id, b.id) })
	return doc, out
}

// componentSchema returns the schema of a component.
func componentSchema(t *testing.T, doc *openapi3.T, name string) *openapi3.SchemaRef {
	t.Helper()
	ref, ok := doc.Components.Schemas[name]
	if !ok {
		t.Fatalf("the OpenAPI document has no schema %s", name)
	}
	return ref
}

// fill replaces a path's parameters by values, each as one segment.
func fill(path string, values map[string]string) string {
	for name, v := range values {
		path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(v))
	}
	return path
}
