package plugin_test

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agentarea/agentarea/sdk"
	"github.com/agentarea/agentarea/sdk/plugin"
)

type settings struct {
	URL     string            `config:"base_url,required" doc:"where the API is"`
	Key     string            `config:"api_key,secret"`
	Tries   int               `config:"tries" default:"3"`
	Seed    int64             `config:"seed"`
	Heat    float64           `config:"heat" default:"0.5"`
	Verbose bool              `config:"verbose" default:"true"`
	Wait    time.Duration     `config:"wait" default:"30s"`
	Models  []string          `config:"models" default:"[\"a\",\"b\"]"`
	Headers map[string]string `config:"headers"`
	Proxy   proxy             `config:"proxy" doc:"how to get out"`
	Routes  []route           `config:"route"`

	hidden string
	Cache  map[string]int `config:"-"`
}

type proxy struct {
	Host string `config:"host,required"`
	Port int    `config:"port" default:"3128"`
}

type route struct {
	Name    string        `config:"name,required"`
	Timeout time.Duration `config:"timeout" default:"1m"`
}

func TestSchemaOf(t *testing.T) {
	t.Parallel()
	got, err := plugin.SchemaOf(&settings{})
	if err != nil {
		t.Fatal(err)
	}
	want := sdk.Block{
		Attributes: []sdk.Attribute{
			{Name: "base_url", Type: "string", Required: true, Description: "where the API is"},
			{Name: "api_key", Type: "string", Secret: true},
			{Name: "tries", Type: "number", Default: "3"},
			{Name: "seed", Type: "number"},
			{Name: "heat", Type: "number", Default: "0.5"},
			{Name: "verbose", Type: "bool", Default: "true"},
			{Name: "wait", Type: "string", Default: `"30s"`},
			{Name: "models", Type: "list(string)", Default: `["a","b"]`},
			{Name: "headers", Type: "map(string)"},
		},
		Blocks: []sdk.NestedBlock{
			{Name: "proxy", Max: 1, Description: "how to get out", Block: sdk.Block{Attributes: []sdk.Attribute{
				{Name: "host", Type: "string", Required: true},
				{Name: "port", Type: "number", Default: "3128"},
			}}},
			{Name: "route", Block: sdk.Block{Attributes: []sdk.Attribute{
				{Name: "name", Type: "string", Required: true},
				{Name: "timeout", Type: "string", Default: `"1m"`},
			}}},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if b, err := plugin.SchemaOf(nil); err != nil || !reflect.DeepEqual(b, sdk.Block{}) {
		t.Errorf("SchemaOf(nil) = %+v, %v, want an empty block", b, err)
	}
}

func TestSchemaOf_invalidStruct(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		ptr  any
		want string
	}{
		"no pointer":  {settings{}, "pointer to a struct"},
		"nil pointer": {(*settings)(nil), "pointer to a struct"},
		"no name":     {&struct{ A string }{}, "no config tag"},
		"unknown option": {&struct {
			A string `config:"a,requierd"`
		}{}, `unknown option "requierd"`},
		"unfit type": {&struct {
			A chan int `config:"a"`
		}{}, "is not supported in a config block"},
		"bad duration": {&struct {
			A time.Duration `config:"a" default:"30"`
		}{}, `default "30": is not a duration`},
		"bad number": {&struct {
			A int `config:"a" default:"x"`
		}{}, `default "x": must be a whole number`},
		"same name": {&struct {
			A string `config:"a"`
			B string `config:"a"`
		}{}, "belongs to another field"},
		"deep": {&struct {
			A []struct{ B int } `config:"a"`
		}{}, "B: the field has no config tag"},
	} {
		if _, err := plugin.SchemaOf(test.ptr); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	defaults := settings{
		URL: "u", Tries: 3, Heat: 0.5, Verbose: true, Wait: 30 * time.Second,
		Models: []string{"a", "b"}, Proxy: proxy{Port: 3128},
	}
	with := func(change func(*settings)) settings {
		s := defaults
		change(&s)
		return s
	}
	for name, test := range map[string]struct {
		json string
		want settings
	}{
		"defaults":   {`{"base_url":"u"}`, defaults},
		"null":       {`{"base_url":"u","tries":null,"wait":null,"models":null,"proxy":null,"route":null}`, defaults},
		"empty list": {`{"base_url":"u","models":[],"headers":{}}`, with(func(s *settings) { s.Models, s.Headers = []string{}, map[string]string{} })},
		"all": {
			`{"base_url":"u","api_key":"k","tries":0,"seed":-9223372036854775808,"heat":2,"verbose":false,"wait":"1h30m",
			"models":["x"],"headers":{"a":"b"},"proxy":{"host":"h"},"route":[{"name":"r"},{"name":"s","timeout":"2s"}]}`,
			settings{
				URL: "u", Key: "k", Seed: -1 << 63, Heat: 2, Wait: 90 * time.Minute, Models: []string{"x"},
				Headers: map[string]string{"a": "b"}, Proxy: proxy{"h", 3128},
				Routes: []route{{"r", time.Minute}, {"s", 2 * time.Second}},
			},
		},
		"whole floats": {`{"base_url":"u","tries":2.0,"seed":1e3}`, with(func(s *settings) { s.Tries, s.Seed = 2, 1000 })},
	} {
		var got settings
		if err := plugin.Decode([]byte(test.json), &got); err != nil {
			t.Errorf("%s: Decode = %v, want nil", name, err)
		} else if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", name, got, test.want)
		}
	}
}

func TestDecode_keepsOtherFields(t *testing.T) {
	t.Parallel()
	s := settings{hidden: "h", Cache: map[string]int{"a": 1}, Headers: map[string]string{"old": "x"}}
	if err := plugin.Decode([]byte(`{"base_url":"u","headers":{"new":"y"}}`), &s); err != nil {
		t.Fatal(err)
	}
	if s.hidden != "h" || s.Cache["a"] != 1 || !maps.Equal(s.Headers, map[string]string{"new": "y"}) {
		t.Errorf("Decode into a struct with values = %+v, want them kept or replaced", s)
	}
	before := s
	if err := plugin.Decode([]byte(`{"base_url":"changed","wait":"soon"}`), &s); err == nil ||
		!reflect.DeepEqual(s, before) {
		t.Errorf("Decode with error %v changed the struct to %+v", err, s)
	}
}

func TestDecode_errors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		json string
		want []string
	}{
		"missing":         {`{}`, []string{"base_url: is required. where the API is"}},
		"wrong types":     {`{"base_url":5,"verbose":"yes","heat":"hot"}`, []string{"base_url: must be a string", "heat: must be a number", "verbose: must be a bool: true or false"}},
		"duration":        {`{"base_url":"u","wait":30}`, []string{`wait: is not a duration. Write a number and its unit in quotes: "30s", "5m", "1h30m"`}},
		"range":           {`{"base_url":"u","seed":9223372036854775808}`, []string{"seed: is out of range. Write a whole number of at most 64 bits"}},
		"huge":            {`{"base_url":"u","tries":1e999999}`, []string{"tries: is out of range. Write a whole number of at most 64 bits"}},
		"fraction":        {`{"base_url":"u","tries":1.5}`, []string{"tries: must be a whole number"}},
		"quoted":          {`{"base_url":"u","tries":"5"}`, []string{"tries: must be a whole number"}},
		"lists":           {`{"base_url":"u","models":"a","headers":["a"]}`, []string{"headers: must be a map of strings", "models: must be a list of strings"}},
		"unknown":         {`{"base_url":"u","base_ulr":"v"}`, []string{"base_ulr: is not a known attribute"}},
		"inner":           {`{"base_url":"u","proxy":{},"route":[{"name":"r"},{"timeout":"x"}]}`, []string{"proxy: host: is required", "route: 1: name: is required", `route: 1: timeout: is not a duration. Write a number and its unit in quotes: "30s", "5m", "1h30m"`}},
		"block as text":   {`{"base_url":"u","proxy":"p","route":{}}`, []string{"proxy: must be a block", "route: must be a list of blocks"}},
		"not an object":   {`[]`, []string{"must be a block"}},
		"secret stays in": {`{"base_url":"u","api_key":["hunter2"]}`, []string{"api_key: must be a string"}},
	} {
		var s settings
		got := leaves(plugin.Decode([]byte(test.json), &s))
		slices.Sort(got)
		if !slices.Equal(got, test.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", name, got, test.want)
		}
	}
	if err := plugin.Decode([]byte(`{"a":1}`), nil); err == nil {
		t.Error("Decode without a struct accepted a setting, want an error")
	}
	if err := plugin.Decode(nil, nil); err != nil {
		t.Error(err)
	}
}

// leaves returns the texts of the ConfigErrors that err joins.
func leaves(err error) []string {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	var all []string
	for _, e := range joined.Unwrap() {
		var c *sdk.ConfigError
		if errors.As(e, &c) {
			all = append(all, c.Error())
		}
	}
	return all
}
