package api

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/agentarea/agentarea/core"
)

// Events describes the server-sent events of an operation.
type Events struct {
	// Name is the name of the schema of an event in the OpenAPI document.
	Name string
	// Types has an example of each type of event, as Union requires.
	Types []any
	// Example is the text of a stream.
	Example string
}

// description returns the part of a response's description that explains the events.
func (e *Events) description() string {
	return ". A stream consists of server-sent events. The data of each event is a JSON object of the schema " + e.Name +
		", whose `type` selects its fields. Lines that start with a colon are heartbeats.\n\n```\n" + e.Example + "```"
}

// Union adds a schema to the OpenAPI document: one of several messages, which differ in the value of their type. It
// returns the documentation of a body with the schema. messages has an example of each message: a struct whose field
// type has one value.
func (a *API) Union(name string, messages []any) *huma.MediaType {
	const prefix = "#/components/schemas/"
	schemas := a.schemas()
	content := &huma.MediaType{Schema: &huma.Schema{Ref: prefix + name}, Examples: map[string]*huma.Example{}}
	union := &huma.Schema{Discriminator: &huma.Discriminator{PropertyName: "type", Mapping: map[string]string{}}}
	for _, m := range messages {
		variant := schemas.Schema(reflect.TypeOf(m), true, "")
		kind := messageType(m)
		// Generators of Go code would otherwise name the constant of task.status like the type of a task's status.
		schemas.SchemaFromRef(variant.Ref).Properties["type"].Extensions = map[string]any{
			"x-enum-varnames": []string{"Type" + strings.TrimPrefix(variant.Ref, prefix)},
		}
		union.OneOf = append(union.OneOf, variant)
		union.Discriminator.Mapping[kind] = variant.Ref
		content.Examples[kind] = &huma.Example{Value: m}
	}
	schemas.Map()[name] = union
	return content
}

// messageType returns the type of a message.
func messageType(message any) string {
	data, err := json.Marshal(message)
	var m struct {
		Type string `json:"type"`
	}
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	if err != nil || m.Type == "" {
		panic(fmt.Sprintf("the example %+v has no type (%v)", message, err))
	}
	return m.Type
}

// ErrorEvent is the last event of a stream that fails, and the reply to a WebSocket message that is refused.
type ErrorEvent struct {
	Type  string  `json:"type" enum:"error"`
	RunID string  `json:"run_id,omitempty" doc:"The run that has failed. Only in streams of a run"`
	Error Failure `json:"error"`
}

// ExampleError is an example of an ErrorEvent.
var ExampleError = ErrorEvent{Type: "error", Error: NewErrorReply(errorExamples[core.CodeUnavailable], "req-123").Failure}
