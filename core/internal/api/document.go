package api

import (
	"cmp"
	"fmt"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/agentarea/agentarea/core"
)

var errorType = reflect.TypeFor[ErrorReply]()

const apiDescription = `AgentArea runs AI agents on your own machine. Create an agent, chat with it (JSON or streaming), and watch what it does.

Sign in with ` + "`POST /v1/auth/login`" +
	`, press *Authorize* and paste the access token. Every path works with and without its trailing slash.
All errors have the same form. ` + "`details.field`" + ` and ` + "`details.issue`" + ` say what to correct.

The headers ` + "`X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset`" +
	` of a reply show your rate limit. Requests over the limit, or too many
requests within one second, are answered with 429 and ` + "`Retry-After`" +
	`. An administrator can change or remove the limits. Without a limit per minute these headers are omitted.`

// document returns the OpenAPI document without operations. basePath is the path of the public URL, or empty. The
// server's URL in the document has no host, so that the document is right under each name of the server.
func document(version, basePath string) *huma.OpenAPI {
	return &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title: "AgentArea API", Version: version, Description: apiDescription,
			License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
		},
		Components: &huma.Components{
			Headers: headers,
			Schemas: huma.NewMapRegistry("#/components/schemas/", schemaName),
			SecuritySchemes: map[string]*huma.SecurityScheme{"bearer": {
				Type: "http", Scheme: "bearer", BearerFormat: "JWT",
				Description: "The access_token of POST /v1/auth/login, or an API key of POST /v1/api-keys/.",
			}},
		},
		Servers: []*huma.Server{{URL: cmp.Or(basePath, "/"), Description: "This server"}},
		Tags:    tags,
	}
}

// tags are the groups of operations, in the order in which a new user needs them.
var tags = []*huma.Tag{
	{Name: "Authentication", Description: "Signing in and out. All other groups except Health require a token."},
	{Name: "Agents", Description: "Agents, each with a type and a config."},
	{Name: "Chat", Description: "Conversations with an agent. Each turn is a run in a session."},
	{Name: "Runs", Description: "What an agent does, live and afterwards."},
	{Name: "Tasks", Description: "Work that an agent does in the background."},
	{Name: "Files", Description: "Files that you upload once and give to agents by their ids."},
	{
		Name: "MCP servers",
		Description: "Servers that provide tools, resources and prompts to agents and MCP clients. They run on this " +
			"machine or are reached by URL.",
	},
	{Name: "WebSocket", Description: "Answers, tasks and system events as they happen, over one connection."},
	{Name: "Plugins", Description: "Agent types, models and the plugins that provide them."},
	{Name: "Usage", Description: "Tokens that models have used, and bytes that are stored."},
	{Name: "API keys", Description: "Keys for programs. They have scopes and are accepted wherever an access token is."},
	{Name: "Users", Description: "User accounts. For admins."},
	{Name: "Audit", Description: "Changes and refused requests. For admins."},
	{Name: "Health", Description: "Whether the server is up."},
}

// finishSchemas prepares all schemas of the document for its readers. Huma has the messages of its validation and the
// default values by then.
func finishSchemas(d *huma.OpenAPI) {
	for _, s := range d.Components.Schemas.Map() {
		finishSchema(s)
		describeDefaults(s)
	}
	for _, item := range d.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op == nil {
				continue
			}
			for _, p := range op.Parameters {
				finishSchema(p.Schema)
			}
		}
	}
}

// finishSchema gives patternDescription, which only Huma knows, the name of an extension.
func finishSchema(s *huma.Schema) {
	if s == nil {
		return
	}
	if s.PatternDescription != "" {
		s.Extensions = map[string]any{"x-pattern-description": s.PatternDescription}
		s.PatternDescription = ""
	}
	finishSchema(s.Items)
	for _, p := range s.Properties {
		finishSchema(p)
	}
}

// describeDefaults moves the default values of fields to their descriptions, because generators such as
// openapi-typescript take a field with a default value as one that is always present, and require it in requests.
func describeDefaults(s *huma.Schema) {
	for _, p := range s.Properties {
		if p.Default == nil {
			continue
		}
		text := fmt.Sprintf("The default is %v", reflect.Indirect(reflect.ValueOf(p.Default)))
		if p.Description != "" {
			text = p.Description + ". " + text
		}
		p.Description, p.Default = text, nil
	}
}

// headers are the headers of rate-limited replies.
var headers = map[string]*huma.Header{
	"X-RateLimit-Limit": {
		Description: "The number of requests you may send per minute: per user with a valid token or key, otherwise per " +
			"address. On every reply, unless there is no limit.",
		Schema: &huma.Schema{Type: huma.TypeInteger}, Example: 100,
	},
	"X-RateLimit-Remaining": {
		Description: "The number of requests left in the current window. On every reply, unless there is no limit.",
		Schema:      &huma.Schema{Type: huma.TypeInteger}, Example: 0,
	},
	"X-RateLimit-Reset": {
		Description: "When the current window ends, in Unix seconds. On every reply, unless there is no limit.",
		Schema:      &huma.Schema{Type: huma.TypeInteger}, Example: 1738324860,
	},
	"Retry-After": {
		Description: "The number of seconds to wait before trying again.",
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

// schemaName returns the name of a type's schema: the name of the Go type with an upper-case first
// letter, except for the error. Types of different groups must therefore have different names.
func schemaName(t reflect.Type, hint string) string {
	if t == errorType {
		return "Error"
	}
	return huma.DefaultSchemaNamer(t, hint)
}

var codeMeanings = map[core.Code]string{
	core.CodeValidation:           "the request is invalid; details.field names the invalid field.",
	core.CodeUnauthorized:         "the token is missing or not valid.",
	core.CodeForbidden:            "you can see the object, but may not perform this operation on it.",
	core.CodeNotFound:             "the object does not exist, or you do not have access to it.",
	core.CodeConflict:             "the current state of the object does not allow the operation.",
	core.CodePreconditionFailed:   "the object has changed since the version in If-Match.",
	core.CodePayloadTooLarge:      "the body is too large or nests too deep, or would exceed what a user may store.",
	core.CodeUnsupportedMediaType: "the body has an unsupported media type.",
	core.CodeRateLimited:          "too many requests; wait for the time in Retry-After.",
	core.CodeInternal:             "the server failed; its log contains the request_id.",
	core.CodeUpstream:             "a model provider or an MCP server failed; the message names it.",
	core.CodeUnavailable:          "a part of the server is not available; the message names it.",
	core.CodeUpstreamTimeout:      "a model provider or an MCP server did not answer in time.",
	core.CodeInsufficientStorage:  "the file backend has no free space.",
}

var errorExamples = map[core.Code]*core.Error{
	core.CodeValidation:   core.Invalid("name", "Field is required"),
	core.CodeUnauthorized: ErrNoToken,
	core.CodeForbidden:    core.Forbidden("Insufficient permissions: a viewer may only read"),
	core.CodeNotFound:     core.NotFound("agent", "agent-123"),
	core.CodeConflict: core.Conflict("Session %q is busy with run run-123. Wait for it, or cancel it with "+
		"POST /v1/runs/run-123/cancel.", "session-123").
		WithField("session_id").WithObject("session", "session-123").WithRun(core.RunRef{ID: "run-123"}),
	core.CodePreconditionFailed:   VersionConflict("agent"),
	core.CodePayloadTooLarge:      bodyTooLarge(1 << 20),
	core.CodeUnsupportedMediaType: unsupportedMediaType("text/plain", "application/json"),
	core.CodeRateLimited: {
		Code:    core.CodeRateLimited,
		Message: "Too many requests: the limit is 100 per minute. Retry after the time in the Retry-After header",
	},
	core.CodeInternal: {Code: core.CodeInternal},
	core.CodeUpstream: {Code: core.CodeUpstream, Message: `The provider "openai" failed: 500 from the API`},
	core.CodeUnavailable: core.Unavailable(
		`Plugin agent/chat is restarting. Try again shortly. If this persists, an administrator finds the reason in GET /v1/plugins.`,
	),
	core.CodeUpstreamTimeout: {Code: core.CodeUpstreamTimeout, Message: `The provider "openai" did not answer in time`},
	core.CodeInsufficientStorage: {
		Code: core.CodeInsufficientStorage, Message: `The file backend has no free space. An administrator must free some.`,
	},
}
