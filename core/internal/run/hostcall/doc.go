// Package hostcall handles the host calls of a run: what an agent plugin asks of the
// server.
//
// The Dispatcher answers a call from the journal or passes it to the handler of its
// kind: completer, toolCaller or fileReader. Each handler records the call before its
// result goes back to the plugin.
//
// Messages name files. The content is inserted only into the prompt that goes to a
// provider (prompt.go), and only for files that the conversation names or that the run
// has written (conversation.go). Records contain neither prompts nor file content: a
// replayed call reads the same files again.
package hostcall
