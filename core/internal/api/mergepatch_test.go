package api_test

import (
	"encoding/json"
	"testing"

	"github.com/agentarea/agentarea/core"
	"github.com/agentarea/agentarea/core/internal/api"
)

func TestMergePatch(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ current, patch, want string }{
		"a field":             {`{"a":"b","c":"d"}`, `{"a":"z"}`, `{"a":"z","c":"d"}`},
		"null removes":        {`{"a":"b","c":"d"}`, `{"c":null}`, `{"a":"b"}`},
		"null of no field":    {`{"a":"b"}`, `{"c":null}`, `{"a":"b"}`},
		"nested":              {`{"a":{"b":1,"c":2}}`, `{"a":{"b":null,"d":3}}`, `{"a":{"c":2,"d":3}}`},
		"an array is a value": {`{"a":[1,2]}`, `{"a":[3]}`, `{"a":[3]}`},
		"numbers keep digits": {`{"a":12345678901234567890}`, `{"b":0.1000}`, `{"a":12345678901234567890,"b":0.1000}`},
		"nothing":             {`{"a":"b"}`, `{}`, `{"a":"b"}`},
		"order and text stay": {`{"z":{"y":1,"x":[1]},"é\u003c":2}`, `{"b":[ 1, {"c":null} ],"a":{}}`, `{"z":{"y":1,"x":[1]},"é\u003c":2,"b":[ 1, {"c":null} ],"a":{}}`},
		"null of a new one":   {`{}`, `{"a":{"b":null,"c":{"d":null}}}`, `{"a":{"c":{}}}`},
		"object for a value":  {`{"a":1}`, `{"a":{"b":2}}`, `{"a":{"b":2}}`},
		"value for an object": {`{"a":{"b":2}}`, `{"a":1}`, `{"a":1}`},
		"the last one of two": {`{"a":1}`, `{"a":null,"a":{"b":1},"a":{"c":2}}`, `{"a":{"c":2}}`},
		"white space":         {`{"a":{"b":1}}`, " { \"a\" : { \"c\" :\t[ ] , \"d\":\n-1.50 } } ", `{"a":{"b":1,"c":[ ],"d":-1.50}}`},
		"names with escapes":  {`{"a":1}`, `{"\u0061":2,"\"\\":3}`, `{"a":2,"\"\\":3}`},
		"no object":           {`{"a":1}`, `[1]`, `[1]`},
	} {
		var got json.RawMessage
		err := api.MergePatch(json.RawMessage(c.current), []byte(c.patch), &got)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: MergePatch(%s, %s) = %s, %v, want %s, nil", name, c.current, c.patch, got, err, c.want)
		}
	}
}

func TestMergePatch_invalid(t *testing.T) {
	t.Parallel()
	var next struct{ A string }
	for _, patch := range []string{``, `{"a"`, `{"a":1}`} {
		if err := api.MergePatch(json.RawMessage(`{"a":"b"}`),
			[]byte(patch), &next); core.CodeOf(err) != core.CodeValidation {
			t.Errorf("MergePatch(%s) = %v, want %s", patch, err, core.CodeValidation)
		}
	}
}
