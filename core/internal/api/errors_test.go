package api

import (
	"fmt"
	"strings"
	"testing"
)

// A body that is wrong in everything is told so in a few words, here and in the log.
func TestFaultsAreBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var fields strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&fields, `"f%d":1,`, i)
	}
	r := b.do(t, "", "POST", "/v1/auth/login", "{"+fields.String()+`"username":7}`).want(400)
	if n := strings.Count(r.Body.String(), `"field"`); n != maxFieldErrors+1 {
		t.Errorf("it tells %d faults", n)
	}
}
