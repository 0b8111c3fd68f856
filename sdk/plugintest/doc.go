// Package plugintest checks that a plugin, in any programming language, conforms to the contract of its
// kind. It starts the program as the server does: with go-plugin, over mutual TLS, and calls Describe,
// ConfigSchema and Configure.
//
// The test of a plugin is one call of Agent, Files, LLM or MCP, or of Run, which determines the kind.
// Each check is a subtest, so that go test -run selects checks:
//
//	func TestConformance(t *testing.T) {
//		binary := filepath.Join(t.TempDir(), "files-mine")
//		if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
//			t.Fatalf("%v: %s", err, out)
//		}
//		plugintest.Files(t, plugintest.Command{
//			Path:   binary,
//			Config: map[string]any{"bucket": "test"},
//		})
//	}
//
// For a plugin in another language, write such a Go test, or use the command agentarea plugins test
// BINARY. The Script of the Command contains what the checks need to know about the plugin, such as a
// prompt that makes the model call a tool.
//
// The keys that Files uses start with plugintest- or ../plugintest- and a random word, so the backend may
// be in use. The check deletes its objects at the end. It temporarily needs about 300 MB of storage, and
// may take a minute with a slow service.
package plugintest
