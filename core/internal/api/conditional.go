package api

import (
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// describeConditional documents that an operation accepts If-None-Match.
func describeConditional(op *huma.Operation) {
	op.Parameters = append(op.Parameters, &huma.Param{
		Name: "If-None-Match", In: "header", Schema: &huma.Schema{Type: huma.TypeString},
		Description: "The ETag of the reply that you have. If the object has not changed since then, the status is 304 and " +
			"the reply has no body",
	})
	op.Responses[strconv.Itoa(http.StatusNotModified)] = &huma.Response{
		Description: "The object has not changed since the reply whose ETag you sent in If-None-Match",
	}
}

// describeETag documents the ETag of a reply.
func describeETag(r *huma.Response) {
	if r.Headers == nil {
		r.Headers = map[string]*huma.Param{}
	}
	if r.Headers["ETag"] == nil {
		r.Headers["ETag"] = &huma.Param{
			Description: "Changes with the object, for If-None-Match", Schema: &huma.Schema{Type: huma.TypeString},
		}
	}
}
