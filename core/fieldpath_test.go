package core

import (
	"encoding/json"
	"testing"
)

func TestFieldPath(t *testing.T) {
	t.Parallel()
	var document any
	if err := json.Unmarshal([]byte(`{"a":[{"b":[1]}],"0":{"1":2},"c":"x"}`), &document); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		segments []string
		want     string
	}{
		{nil, "config"},
		{[]string{"a"}, "config.a"},
		{[]string{"a", "0", "b", "0"}, "config.a[0].b[0]"},
		{[]string{"a", "7", "b"}, "config.a[7].b"},
		{[]string{"0", "1"}, "config.0.1"},
		{[]string{"c", "0"}, "config.c.0"},
		{[]string{"none", "0"}, "config.none.0"},
	} {
		if got := FieldPath("config", document, c.segments); got != c.want {
			t.Errorf("FieldPath(%q) = %q, want %q", c.segments, got, c.want)
		}
	}
}

func TestCount(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0 files", 1: "1 file", 2: "2 files"} {
		if got := Count(n, "file"); got != want {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}
}
