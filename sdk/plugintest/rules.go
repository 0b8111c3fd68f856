package plugintest

import "testing"

// rule is what a plugin must do to pass a check.
type rule struct {
	// kind is the kind of the plugin, or "all" for the checks of Base.
	kind string
	// check is the name of the check, which is the last part of the name of its subtest.
	check string
	text  string
}

// rules are the rules in the order in which docs/plugins.md lists them. A check that fails logs its rule.
var rules = []rule{
	{"all", "Start", "The plugin prints its handshake line within 15 s after its start, and is configured within 30 s."},
	{"all", "WithoutTLS", "The plugin also serves without TLS, and `Health` answers within 2 s."},
	{"all", "StableDescribe", "Each call and each process returns the same `Describe` and `ConfigSchema`."},
	{"all", "ConfigSchema", "The attributes and blocks of `ConfigSchema` have unique names, types that exist, and valid defaults."},
	{"all", "BadConfig", "`Configure` reports an invalid value as a diagnostic with a path, and accepts a valid config afterwards."},
	{"all", "ParallelHealth", "16 concurrent calls of `Health` answer within 2 s."},
	{"all", "Stop", "After `Stop` and `Shutdown`, the process and its children exit within 5 s, with nothing on stdout but the handshake."},
	{"all", "Lifeline", "When stdin is closed, the process and its children exit within 5 s."},

	{"llm", "Models", "`ListModels` answers within 5 s, with unique IDs that are not empty."},
	{"llm", "Answer", "An answer has text, a finish reason, and usage: positive counts of at most 1,000,000 tokens for a short prompt. Nothing follows the finish."},
	{"llm", "Unicode", "Text is valid UTF-8 in each delta. A character that a provider splits is sent whole, in one delta."},
	{"llm", "Tools", "A tool call has an index from 0 to 127, a name, an ID that no other call has, and a JSON object as arguments. The model gets the result by this ID."},
	{"llm", "ParallelTools", "If the model calls a tool twice in one answer, both calls arrive, with different IDs."},
	{"llm", "RateLimited", "A rate limit is the error `rate_limited`, retryable and with a message."},
	{"llm", "Cancelled", "A cancelled `Chat` ends in the plugin, too: within 1 s, it has no call in progress."},
	{"llm", "Large", "A message of 5 MiB leads to an answer, or to the error `context_too_long`, `invalid_request` or `rate_limited`."},
	{"llm", "Parallel", "16 concurrent answers succeed."},
	{"llm", "Leaks", "Completions that ended or were cancelled leave no tasks and no open files or connections behind."},
	{"llm", "Killed", "When the process is killed, calls in progress fail with `plugin_crashed`."},

	{"agent", "Schema", "The schema is a JSON Schema (draft 2020-12) of an object that compiles, without references to other documents."},
	{"agent", "Answer", "A run makes at least one call and returns an answer. Text stays valid UTF-8."},
	{"agent", "ToolCalls", "A completion after tool calls contains one result for each call, with the `tool_call_id` of the call."},
	{"agent", "Replay", "A repeated run makes the same calls."},
	{"agent", "OutOfOrder", "Replies to concurrent calls may arrive in any order."},
	{"agent", "Cancelled", "A cancelled run ends within 1 s, also during a host call."},
	{"agent", "HostFails", "If a completion fails, the run fails, and not with `internal`. It does not invent an answer."},
	{"agent", "Large", "A run with an input of 5 MiB succeeds."},
	{"agent", "Parallel", "16 concurrent runs succeed."},
	{"agent", "Leaks", "Runs that ended or were cancelled leave no tasks and no open files or connections behind."},
	{"agent", "Killed", "When the process is killed, runs in progress fail with `plugin_crashed`."},

	{"files", "Large", "`Put` and `Get` of 100 MiB need at most 64 MiB of memory."},
	{"files", "RoundTrip", "`Get` and `Stat` return what `Put` has stored, and `Put` returns its size and SHA-256."},
	{"files", "Overwrite", "A `Get` during a `Put` returns the old or the new object completely."},
	{"files", "NotFound", "A missing key is the error `not_found`."},
	{"files", "Delete", "`Delete` removes one object, and succeeds if there is none."},
	{"files", "Health", "`Health` answers within 2 s."},
	{"files", "Presign", "The URL of `Presign` returns the object with the requested headers. The capability `presign` is set."},
	{"files", "Ranges", "`Get` returns exactly the requested range."},
	{"files", "OddKeys", "Any key of 1 to 255 bytes of UTF-8 is stored under exactly this key."},
	{"files", "KeysAboveTheRoot", "A key such as `../a` does not leave the backend's folder, and is an object like any other."},
	{"files", "BadKeys", "An invalid key is the error `invalid_request`."},
	{"files", "List", "`List` returns all objects, also more than 1,000, in the byte order of their keys, with their size and time."},
	{"files", "DeclaredSize", "A `Put` of another size than the declared one fails, and changes nothing."},
	{"files", "PutCancelled", "An interrupted `Put` changes nothing."},
	{"files", "GetCancelled", "A `Get` that is not read to its end does not harm later calls."},
	{"files", "ParallelPuts", "Concurrent calls of `Put` store each object."},
	{"files", "ParallelPutsOfAKey", "After concurrent calls of `Put` with one key, the object is one of theirs."},
	{"files", "Leaks", "Calls that ended or were cancelled leave no calls, tasks, and open files or connections behind."},
	{"files", "Killed", "When the process is killed during a `Put`, the key keeps its object."},

	{"mcp", "Config", "`CheckConfig` accepts the config of the script, and reports an invalid one as diagnostics."},
	{"mcp", "ConfigOffline", "`CheckConfig` neither connects to the server nor starts its program."},
	{"mcp", "RoundTrip", "Messages arrive unchanged, in both directions."},
	{"mcp", "Large", "Messages of 8 MiB arrive unchanged."},
	{"mcp", "Close", "After `Close`, the connection reports its exit within 5 s, and the plugin has no call in progress."},
	{"mcp", "Parallel", "16 connections work at the same time."},
	{"mcp", "Leaks", "Connections that were closed or abandoned leave no calls, tasks, and open files or connections behind."},
	{"mcp", "Stderr", "Lines that the program writes to stderr arrive as such."},
	{"mcp", "ChildCrash", "The exit code of the program arrives, or -1 if a signal ended it."},
	{"mcp", "NoChildLeft", "The children of the program end with the connection."},
	{"mcp", "Killed", "When the process of the plugin is killed, the programs end, too."},
}

// explain logs the rule of the check if the test has failed, so that its author knows what to read.
func explain(t *testing.T, kind, check string) {
	t.Helper()
	if !t.Failed() {
		return
	}
	for _, r := range rules {
		if r.kind == kind && r.check == check {
			t.Logf("the rule of the check %s: %s See the conformance kit in docs/plugins.md.", check, r.text)
		}
	}
}
