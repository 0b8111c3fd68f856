// Package plugintest checks a plugin, written in whatever language, against what
// its kind promises. It starts the real binary as the server does: through
// go-plugin, over mutual TLS, with Describe, ConfigSchema and Configure.
//
// A plugin's whole test is one call: Agent, Files, LLM, MCP, or Run for whatever
// kind it is. Each of its checks is a subtest, so
// that go test -run picks some:
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
// A plugin that is not written in Go needs a Go file of this kind beside it, and
// nothing else.
//
// Without Go there is agentarea plugins test BINARY. What a check can't know by
// itself, such as what brings a model to call a tool, is in the Command's Script.
//
// The keys of Files begin with plugintest-, or ../plugintest-, and a random word, so the backend may be one
// that others use; what was put is deleted in the end. It takes about 300 MB of room
// for a while, and a minute or so on a slow service.
package plugintest
