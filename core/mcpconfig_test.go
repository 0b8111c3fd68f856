package core

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func parseMCPConfig(t *testing.T, config string) MCPConfig {
	t.Helper()
	c, err := ParseMCPConfig(json.RawMessage(config))
	if err != nil {
		t.Fatalf("ParseMCPConfig(%s): %v", config, err)
	}
	return c
}

// wantFieldError fails the test unless err is Invalid for exactly this field and issue.
func wantFieldError(t *testing.T, call string, err error, field, issue string) {
	t.Helper()
	var e *Error
	want := []FieldError{{Field: field, Issue: issue}}
	if !errors.As(err, &e) || e.Code != CodeValidation || !reflect.DeepEqual(e.Fields, want) {
		t.Errorf("%s: error %v, want %s: %s", call, err, field, issue)
	}
}

func TestParseMCPConfig(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		config        string
		secrets       MCPSecrets
		plain, masked string
	}{
		"empty": {`{}`, MCPSecrets{}, `{}`, `{}`},
		"command": {
			` {"env": {"B":"b", "A":"a"}, "command":"npx","args":["-y"] }`,
			MCPSecrets{Env: map[string]string{"A": "a", "B": "b"}},
			`{"args":["-y"],"command":"npx","env":{"A":"a","B":"b"}}`,
			`{"args":["-y"],"command":"npx","env":{"A":"***","B":"***"}}`,
		},
		"url": {
			`{"url":"https://example.com/mcp","headers":{"Authorization":"Bearer x"}}`,
			MCPSecrets{Headers: map[string]string{"Authorization": "Bearer x"}},
			`{"headers":{"Authorization":"Bearer x"},"url":"https://example.com/mcp"}`,
			`{"headers":{"Authorization":"***"},"url":"https://example.com/mcp"}`,
		},
		"url with secrets": {
			`{"url":"https://u:pw@example.com/mcp?apiKey=s3cret#f"}`,
			MCPSecrets{URL: "https://u:pw@example.com/mcp?apiKey=s3cret#f"},
			`{"url":"https://u:pw@example.com/mcp?apiKey=s3cret#f"}`,
			`{"url":"https://u:***@example.com/mcp?apiKey=***#f"}`,
		},
		"empty env": {
			`{"command":"c","env":{},"headers":{}}`,
			MCPSecrets{Env: map[string]string{}, Headers: map[string]string{}},
			`{"command":"c","env":{},"headers":{}}`, `{"command":"c","env":{},"headers":{}}`,
		},
		"already masked": {
			`{"url":"u","headers":{"A":"***"}}`,
			MCPSecrets{Headers: map[string]string{"A": "***"}},
			`{"headers":{"A":"***"},"url":"u"}`, `{"headers":{"A":"***"},"url":"u"}`,
		},
		"fields of another transport": {
			`{"image":"x:1","command":["a"],"url":{"host":"h"},"n":12345678901234567890,"ratio":1.50,"none":null}`,
			MCPSecrets{},
			`{"command":["a"],"image":"x:1","n":12345678901234567890,"none":null,"ratio":1.50,"url":{"host":"h"}}`,
			`{"command":["a"],"image":"x:1","n":12345678901234567890,"none":null,"ratio":1.50,"url":{"host":"h"}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := parseMCPConfig(t, test.config)
			if !reflect.DeepEqual(c.Secrets, test.secrets) {
				t.Errorf("Secrets = %+v, want %+v", c.Secrets, test.secrets)
			}
			if got := string(c.JSON()); got != test.plain {
				t.Errorf("JSON() = %s, want %s", got, test.plain)
			}
			if got := string(c.Masked().JSON()); got != test.masked {
				t.Errorf("Masked().JSON() = %s, want %s", got, test.masked)
			}
			stored, err := parseMCPConfig(t, test.masked).Merge(c.Secrets, true)
			if got := string(stored.JSON()); err != nil || got != test.plain {
				t.Errorf("Merge of the masked config = %s, %v, want %s", got, err, test.plain)
			}
		})
	}
}

func TestParseMCPConfig_invalid(t *testing.T) {
	t.Parallel()
	const (
		noObject  = "Must be an object"
		noStrings = `Must be an object of strings, such as {"NAME": "value"}`
	)
	for name, test := range map[string]struct{ config, field, issue string }{
		"nothing":                {``, "config", noObject},
		"null":                   {`null`, "config", noObject},
		"list":                   {`["npx"]`, "config", noObject},
		"misspelled env":         {`{"command":"c","ENV":{"A":"a"}}`, "config.ENV", `Must be spelled "env"`},
		"misspelled headers":     {`{"url":"u","Headers":{"A":"a"}}`, "config.Headers", `Must be spelled "headers"`},
		"both spellings":         {`{"url":"u","headers":{},"Headers":{}}`, "config.Headers", `Must be spelled "headers"`},
		"null env":               {`{"command":"c","env":null}`, "config.env", noStrings},
		"env a list":             {`{"command":"c","env":["A=b"]}`, "config.env", noStrings},
		"headers a list":         {`{"url":"u","headers":["a"]}`, "config.headers", noStrings},
		"number in env":          {`{"command":"c","env":{"A":"a","PORT":80}}`, "config.env.PORT", "Must be a string"},
		"null in env":            {`{"command":"c","env":{"A":null}}`, "config.env.A", "Must be a string"},
		"object in headers":      {`{"url":"u","headers":{"A":{"b":"c"}}}`, "config.headers.A", "Must be a string"},
		"first of two bad names": {`{"env":{"Z":1,"B":2}}`, "config.env.B", "Must be a string"},
	} {
		_, err := ParseMCPConfig(json.RawMessage(test.config))
		wantFieldError(t, name, err, test.field, test.issue)
	}
}

func TestMCPConfig_Transport(t *testing.T) {
	t.Parallel()
	for config, want := range map[string]string{
		`{"command":"npx"}`:             "stdio",
		`{"command":1}`:                 "stdio",
		`{"url":"https://example.com"}`: "http",
		`{"url":"https://u:pw@h?k=v"}`:  "http",
		`{"url":null}`:                  "http",
	} {
		if got, err := parseMCPConfig(t, config).Transport(); err != nil || got != want {
			t.Errorf("Transport() of %s = %q, %v, want %q", config, got, err, want)
		}
	}
	_, err := parseMCPConfig(t, `{"image":"x:1"}`).Transport()
	wantFieldError(t, "neither", err, "config",
		`Must have a command, such as {"command": "npx", "args": ["-y", "a-server"]}, or a url, such as `+
			`{"url": "https://example.com/mcp"}. For other transports, set transport.`)
	const both = "Field is required because the config has both a command and a url. " +
		"Remove one of them, or name the mcp plugin that accepts both."
	for _, config := range []string{`{"command":"c","url":"u"}`, `{"command":"c","url":"https://h?k=v"}`} {
		_, err = parseMCPConfig(t, config).Transport()
		wantFieldError(t, config, err, "transport", both)
	}
}

func TestMCPConfig_Command(t *testing.T) {
	t.Parallel()
	for config, want := range map[string]string{
		`{"command":"npx"}`: "npx",
		`{"command":null}`:  "",
		`{"Command":"npx"}`: "",
		`{}`:                "",
	} {
		if got, err := parseMCPConfig(t, config).Command(); err != nil || got != want {
			t.Errorf("Command() of %s = %q, %v, want %q", config, got, err, want)
		}
	}
	_, err := parseMCPConfig(t, `{"command":["npx"]}`).Command()
	wantFieldError(t, "list", err, "config.command", "Must be a string")
}

func TestMCPConfig_Merge(t *testing.T) {
	t.Parallel()
	old := MCPSecrets{
		Env:     map[string]string{"A": "alpha", "B": "beta"},
		Headers: map[string]string{"X": "xray"},
		URL:     "https://example.com/mcp?key=s3cret",
	}
	c := parseMCPConfig(t,
		`{"env":{"A":"***","C":"new"},"headers":{"X":"***"},"url":"https://example.com/other?key=***"}`)
	got, err := c.Merge(old, true)
	want := MCPSecrets{
		Env:     map[string]string{"A": "alpha", "C": "new"},
		Headers: map[string]string{"X": "xray"},
		URL:     "https://example.com/other?key=s3cret",
	}
	if err != nil || !reflect.DeepEqual(got.Secrets, want) {
		t.Errorf("Merge(%+v) = %+v, %v, want %+v", old, got.Secrets, err, want)
	}
	if c.Secrets.Env["A"] != Masked {
		t.Error("Merge changed its receiver")
	}

	const noValue = "Must be the value itself. *** keeps a stored value, but there is none."
	for config, test := range map[string]struct {
		field, issue string
	}{
		`{"env":{"Z":"***","C":"***","A":"***"}}`: {"config.env.C", noValue},
		`{"headers":{"A":"***"}}`:                 {"config.headers.A", noValue},
		`{"url":"https://h/?token=***"}`:          {"config.url", `"***" keeps the existing value, but there is none. Enter a value.`},
	} {
		_, err := parseMCPConfig(t, config).Merge(old, true)
		wantFieldError(t, config, err, test.field, test.issue)
	}
}

func TestMCPConfig_Merge_otherTarget(t *testing.T) {
	t.Parallel()
	old := MCPSecrets{
		Env: map[string]string{"A": "alpha"}, Headers: map[string]string{"X": "xray"},
		URL: "https://u:pw@example.com/?key=s3cret",
	}
	const again = "Enter the value again. *** keeps the stored value only while the transport, the command, " +
		"and the scheme, host and port of the url stay the same."
	for config, field := range map[string]string{
		`{"env":{"A":"***","B":"new"}}`:                    "config.env.A",
		`{"headers":{"X":"***"}}`:                          "config.headers.X",
		`{"url":"https://u:***@example.com/?key=***"}`:     "config.url",
		`{"url":"https://u:***@example.com/?key=new"}`:     "config.url",
		`{"url":"https://example.com/?other=new&key=***"}`: "config.url",
	} {
		_, err := parseMCPConfig(t, config).Merge(old, false)
		wantFieldError(t, config, err, field, again)
	}
	const entered = `{"env":{"A":"a"},"headers":{"X":"x"},"url":"https://u:p@example.com/?key=new"}`
	got, err := parseMCPConfig(t, entered).Merge(old, false)
	if err != nil || string(got.JSON()) != entered {
		t.Errorf("Merge with new values = %s, %v, want %s", got.JSON(), err, entered)
	}
}

func TestMCPConfig_SameTarget(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, old, config string
		want              bool
	}{
		{"path and query", `{"url":"https://example.com/a?k=***"}`, `{"url":"https://example.com/b?k=***&x=1"}`, true},
		{"user info", `{"url":"https://u:***@example.com"}`, `{"url":"https://example.com"}`, true},
		{"case and default port", `{"url":"https://example.com"}`, `{"url":"HTTPS://EXAMPLE.com:443/"}`, true},
		{"scheme", `{"url":"https://example.com"}`, `{"url":"http://example.com"}`, false},
		{"scheme with port", `{"url":"https://example.com:80"}`, `{"url":"http://example.com:80"}`, false},
		{"host", `{"url":"https://example.com"}`, `{"url":"https://example.org"}`, false},
		{"host in the user info", `{"url":"https://example.com"}`, `{"url":"https://example.com@example.org"}`, false},
		{"backslash", `{"url":"https://example.com:443"}`, `{"url":"https://example.org\\@example.com:443"}`, false},
		{"port", `{"url":"https://example.com:8443"}`, `{"url":"https://example.com:9443"}`, false},
		{"port removed", `{"url":"https://example.com:8443"}`, `{"url":"https://example.com"}`, false},
		{"url removed", `{"url":"https://example.com"}`, `{}`, false},
		{"the same invalid url", `{"url":"https://exa mple.com?k=***"}`, `{"url":"https://exa mple.com?k=***"}`, true},
		{"another invalid url", `{"url":"https://exa mple.com"}`, `{"url":"https://exa mple.org"}`, false},
		{"args", `{"command":"npx","args":["a"]}`, `{"command":"npx","args":["b"]}`, true},
		{"command", `{"command":"npx"}`, `{"command":"node"}`, false},
		{"command as a list", `{"command":["npx", "a"]}`, `{"command":["npx","b"]}`, false},
		{"white space", `{"command":["npx", "a"]}`, `{"command":["npx","a"]}`, true},
		{"command to url", `{"command":"npx"}`, `{"url":"https://example.com"}`, false},
		{"command and url", `{"command":"npx","url":"https://example.com"}`, `{"command":"node","url":"https://example.com"}`, false},
		{"command and other url", `{"command":"npx","url":"https://example.com"}`, `{"command":"npx","url":"https://example.org"}`, false},
		{"neither", `{"image":"x:1","env":{"A":"***"}}`, `{"image":"x:1","env":{"A":"***","B":"b"}}`, true},
		{"neither, changed", `{"image":"x:1"}`, `{"image":"y:1"}`, false},
		{"url as an object", `{"url":{"host":"a"}}`, `{"url":{"host":"b"}}`, false},
	} {
		old, config := parseMCPConfig(t, test.old), parseMCPConfig(t, test.config)
		if got := config.SameTarget(old); got != test.want {
			t.Errorf("%s: SameTarget() of %s and %s = %t, want %t", test.name, test.config, test.old, got, test.want)
		}
	}
}

func TestMCPSecrets_Empty(t *testing.T) {
	t.Parallel()
	for config, want := range map[string]bool{
		`{}`:                      true,
		`{"env":{}}`:              true,
		`{"env":{"A":"a"}}`:       false,
		`{"headers":{"A":"a"}}`:   false,
		`{"url":"https://h?k=v"}`: false,
		`{"url":"https://h"}`:     true,
	} {
		if got := parseMCPConfig(t, config).Secrets.Empty(); got != want {
			t.Errorf("Empty() of %s = %t, want %t", config, got, want)
		}
	}
}

func TestParseMCPConfig_tooManyFields(t *testing.T) {
	t.Parallel()
	fields := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"k%d":"v",`, i)
		}
		return "{" + strings.TrimSuffix(b.String(), ",") + "}"
	}
	for field, config := range map[string]string{
		"config":         fields(1001),
		"config.env":     `{"command":"c","env":` + fields(1001) + `}`,
		"config.headers": `{"url":"u","headers":` + fields(1001) + `}`,
	} {
		_, err := ParseMCPConfig(json.RawMessage(config))
		wantFieldError(t, field, err, field, "Must contain at most 1000 fields, but contains 1001")
	}
	parseMCPConfig(t, fields(1000))
}
