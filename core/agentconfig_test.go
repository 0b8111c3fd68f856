package core

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"
)

func TestParseAgentConfig(t *testing.T) {
	t.Parallel()
	for config, want := range map[string]AgentConfig{
		`{}`: {},
		`{"model":"m","timeout_seconds":2,"mcp_servers":["fs"],"tools":["fs__*"],"seed":1}`: {
			Model: "m", Timeout: 2 * time.Second, MCPServers: []string{"fs"}, Tools: []string{"fs__*"},
		},
		`{"tools":[]}`:                                {Tools: []string{}},
		`{"tools":null,"mcp_servers":["fs"]}`:         {MCPServers: []string{"fs"}},
		`{"tools":"fs__*","mcp_servers":["fs"]}`:      {},
		`{"tools":["fs__*"],"mcp_servers":"fs"}`:      {Tools: []string{"fs__*"}},
		`{"tools":["fs__*",1],"timeout_seconds":1.5}`: {},
		`{"timeout_seconds":-1}`:                      {},
	} {
		want.Raw = json.RawMessage(config)
		got, err := ParseAgentConfig(want.Raw)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("ParseAgentConfig(%s) = %+v, %v, want %+v, nil", config, got, err, want)
		}
	}
}

func TestParseAgentConfig_invalid(t *testing.T) {
	t.Parallel()
	for config, field := range map[string]string{`[]`: "config", ``: "config", `{"model":1}`: "config.model"} {
		_, err := ParseAgentConfig(json.RawMessage(config))
		var e *Error
		if !errors.As(err, &e) || e.Code != CodeValidation || e.Fields[0].Field != field {
			t.Errorf("ParseAgentConfig(%s) = %v, want %s of the field %s", config, err, CodeValidation, field)
		}
	}
}
