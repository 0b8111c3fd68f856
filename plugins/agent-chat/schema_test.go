package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func TestSchema(t *testing.T) {
	t.Parallel()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(chat{}.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("chat.json", document); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("chat.json")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		config string
		// field is the path of the error. It is empty for a valid config.
		field string
	}{
		{`{"model":"gpt-4","temperature":0.7,"max_tokens":2000}`, ""},
		{`{"model":"a/b","system_prompt":"s","top_p":1,"stop":["a","b","c","d"],"mcp_servers":["file-ops"],"tools":["file-ops__*"],"max_steps":100,"timeout_seconds":3600,"history_messages":0,"context_tokens":200000}`, ""},
		{`{"model":"m","tools":["files__*","files__read"]}`, ""},
		{`{"model":"m","max_steps":1e1,"max_tokens":20.0}`, ""},
		{`{}`, "model"},
		{`{"model":""}`, "model"},
		{`{"model":7}`, "model"},
		{`{"model":"m","temprature":1}`, "temprature"},
		{`{"model":"m","temperature":2.1}`, "temperature"},
		{`{"model":"m","temperature":"1"}`, "temperature"},
		{`{"model":"m","max_tokens":0}`, "max_tokens"},
		{`{"model":"m","max_tokens":1.5}`, "max_tokens"},
		{`{"model":"m","top_p":-0.1}`, "top_p"},
		{`{"model":"m","stop":["a","b","c","d","e"]}`, "stop"},
		{`{"model":"m","stop":[""]}`, "stop"},
		{`{"model":"m","mcp_servers":["Not a slug"]}`, "mcp_servers"},
		{`{"model":"m","max_steps":101}`, "max_steps"},
		{`{"model":"m","timeout_seconds":0}`, "timeout_seconds"},
		{`{"model":"m","timeout_seconds":null}`, "timeout_seconds"},
		{`[]`, "object"},
	}
	for _, tt := range tests {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(tt.config))
		if err != nil {
			t.Fatal(err)
		}
		err = compiled.Validate(value)
		if (err == nil) != (tt.field == "") || err != nil && !strings.Contains(err.Error(), tt.field) {
			t.Errorf("Validate(%s) = %v, want an error at %q", tt.config, err, tt.field)
		}
		if tt.field != "" {
			continue
		}
		if _, err := readConfig([]byte(tt.config)); err != nil {
			t.Errorf("readConfig(%s) = %v", tt.config, err)
		}
	}
}
