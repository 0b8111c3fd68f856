package api

import (
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/agentarea/agentarea/core"
)

var errorType = reflect.TypeFor[errorReply]()

const about = `AgentArea runs AI agents on your own machine: create an agent, chat with it (JSON or streaming), and watch what it does.

Sign in with ` + "`POST /v1/auth/login`" + `, press *Authorize* and paste the access token. Every path answers with and without its trailing slash.
Errors have one form; ` + "`details.field`" + ` and ` + "`details.issue`" + ` say what to change.

Every reply says by ` + "`X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset`" + ` how much more you may ask; past the limit, or
when too much is asked within a second, it is 429 with ` + "`Retry-After`" + `. An admin may have set other limits, or none: then the headers are not there.`

// document is the OpenAPI document before its operations.
func document(version, publicURL string) *huma.OpenAPI {
	d := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title: "AgentArea API", Version: version, Description: about,
			License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
		},
		Components: &huma.Components{
			Headers: headers,
			Schemas: huma.NewMapRegistry("#/components/schemas/", schemaName),
			SecuritySchemes: map[string]*huma.SecurityScheme{"bearer": {
				Type: "http", Scheme: "bearer", BearerFormat: "JWT",
				Description: "The access_token that POST /v1/auth/login gives, or an API key of POST /v1/api-keys/.",
			}},
		},
		Tags: []*huma.Tag{
			{Name: "Health", Description: "Whether the server is up."},
			{Name: "Authentication", Description: "Signing in and out."},
			{Name: "Agents", Description: "Agents are made from a type and a config."},
			{Name: "Chat", Description: "Talking with an agent; each turn is a run in a session."},
			{Name: "Runs", Description: "What an agent does, as it happens and afterwards."},
			{Name: "Files", Description: "Bytes with a name: uploaded once, given to agents by their ids."},
			{Name: "MCP servers", Description: "Servers of tools, resources and prompts: run here or reached by a url, used by agents and by MCP clients."},
			{Name: "Plugins", Description: "What agents can be made of."},
			{Name: "Users", Description: "Who may sign in. For admins."},
			{Name: "API keys", Description: "Keys for programs, with scopes, wherever an access token is taken."},
			{Name: "Audit", Description: "Who did what, and who was refused. For admins."},
		},
	}
	if publicURL != "" {
		d.Servers = []*huma.Server{{URL: publicURL}}
	}
	return d
}

// headers are described once, and referred to where they tell most.
var headers = map[string]*huma.Header{
	"X-RateLimit-Limit": {
		Description: "How many requests a minute you may send: as a user, with a live token or key, or else as an address. On every reply, unless there is no limit.",
		Schema:      &huma.Schema{Type: huma.TypeInteger}, Example: 100,
	},
	"X-RateLimit-Remaining": {
		Description: "How many of them are left in the present window. On every reply, unless there is no limit.",
		Schema:      &huma.Schema{Type: huma.TypeInteger}, Example: 0,
	},
	"X-RateLimit-Reset": {
		Description: "When the window is over and all of them are there again, in Unix seconds. On every reply, unless there is no limit.",
		Schema:      &huma.Schema{Type: huma.TypeInteger}, Example: 1738324860,
	},
	"Retry-After": {
		Description: "In how many seconds to try again.",
		Schema:      &huma.Schema{Type: huma.TypeInteger}, Example: 12,
	},
}

func limitHeaders() map[string]*huma.Param {
	all := map[string]*huma.Param{}
	for name := range headers {
		all[name] = &huma.Param{Ref: "#/components/headers/" + name}
	}
	return all
}

// schemaName is the Go type's name, but for the error.
func schemaName(t reflect.Type, hint string) string {
	if t == errorType {
		return "Error"
	}
	return huma.DefaultSchemaNamer(t, hint)
}

var codeMeanings = map[core.Code]string{
	core.CodeValidation:           "the request is wrong; details say where.",
	core.CodeUnauthorized:         "no token, or none that is alive.",
	core.CodeForbidden:            "you may see it, but not do that.",
	core.CodeNotFound:             "there is none, or none that you may see.",
	core.CodeConflict:             "the state of things does not allow it now.",
	core.CodePreconditionFailed:   "it has changed since the version in If-Match.",
	core.CodePayloadTooLarge:      "the body is too long or nests too deep.",
	core.CodeUnsupportedMediaType: "the body is of another type than what is asked for.",
	core.CodeRateLimited:          "too many requests; Retry-After says when to try again.",
	core.CodeInternal:             "the server failed; its log has the request_id.",
	core.CodeUpstream:             "a model provider or an MCP server failed; the message says which.",
	core.CodeUnavailable:          "a part is down; the message says which.",
	core.CodeUpstreamTimeout:      "a model provider or an MCP server did not answer in time.",
	core.CodeInsufficientStorage:  "there is no room left where files are kept.",
}

var errorExamples = map[core.Code]*core.Error{
	core.CodeValidation:         core.Invalid("name", "Field is required"),
	core.CodeUnauthorized:       errNoToken,
	core.CodeForbidden:          core.Forbidden("Insufficient permissions: a viewer may only read"),
	core.CodeNotFound:           core.NotFound("agent", "agent-123"),
	core.CodeConflict:           core.Conflict("Another turn of session %q is under way", "session-123"),
	core.CodePreconditionFailed: changedMeanwhile("agent"),
	core.CodePayloadTooLarge:    tooLarge(1 << 20),
	core.CodeUnsupportedMediaType: {
		Code: core.CodeUnsupportedMediaType, Message: `The body is sent as "text/plain"; send Content-Type: application/json`,
	},
	core.CodeRateLimited:     {Code: core.CodeRateLimited, Message: "Too many requests: at most 100 a minute; Retry-After says when to try again"},
	core.CodeInternal:        {Code: core.CodeInternal},
	core.CodeUpstream:        {Code: core.CodeUpstream, Message: `The provider "openai" failed: 500 from the API`},
	core.CodeUnavailable:     core.Unavailable(`The plugin agent "chat" is down and being restarted: try again`),
	core.CodeUpstreamTimeout: {Code: core.CodeUpstreamTimeout, Message: `The provider "openai" did not answer in time`},
	core.CodeInsufficientStorage: {
		Code: core.CodeInsufficientStorage, Message: `The file backend "local" is full: delete files, or tell an admin`,
	},
}
