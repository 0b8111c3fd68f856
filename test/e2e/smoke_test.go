package e2e_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The smoke set of the race build, which the Makefile names, has only tests that exist.
func TestRaceSmokeSetExists(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	set := regexp.MustCompile(`(?m)^RACE_SMOKE := (.*)$`).FindSubmatch(makefile)
	if set == nil {
		t.Fatal("the Makefile has no RACE_SMOKE")
	}
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var sources strings.Builder
	for _, f := range files {
		if strings.HasSuffix(f.Name(), "_test.go") {
			data, err := os.ReadFile(f.Name())
			if err != nil {
				t.Fatal(err)
			}
			sources.Write(data)
		}
	}
	for name := range strings.SplitSeq(string(set[1]), "|") {
		if !strings.Contains(sources.String(), "func "+name+"(") {
			t.Errorf("RACE_SMOKE in the Makefile has %s, which does not exist", name)
		}
	}
}
