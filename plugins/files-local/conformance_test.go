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

func build(tb testing.TB) string {
	tb.Helper()
	return testenv.Binary(tb, "files-local")
}
