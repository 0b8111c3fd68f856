package leaktest

import (
	"slices"
	"strings"
	"testing"
)

func TestStacks_findsLeakedGoroutine(t *testing.T) {
	release := make(chan struct{})
	started := make(chan struct{})
	go func() {
		close(started)
		<-release
	}()
	<-started
	defer close(release)
	leaked := slices.DeleteFunc(stacks(), expected)
	if !slices.ContainsFunc(leaked, func(stack string) bool {
		return strings.Contains(stack, "created by") && strings.Contains(stack, "TestStacks_findsLeakedGoroutine")
	}) {
		t.Errorf("got the goroutines %q, want the one that this test started", leaked)
	}
}
