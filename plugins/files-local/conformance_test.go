package main

import (
	"testing"

	"github.com/agentarea/agentarea/sdk/plugintest"
	"github.com/agentarea/agentarea/test/testenv"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	plugintest.Files(t, plugintest.Command{Path: build(t)})
}

// build builds the plugin and returns the path of its binary.
func build(tb testing.TB) string {
	tb.Helper()
	return testenv.Binary(tb, "files-local")
}
