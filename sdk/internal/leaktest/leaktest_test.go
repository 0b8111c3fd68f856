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
	if len(leaked) != 1 || !strings.Contains(leaked[0], "TestStacks_findsLeakedGoroutine") {
		t.Errorf("got %d leaked goroutines %q, want the one that this test started", len(leaked), leaked)
	}
}
