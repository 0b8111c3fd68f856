// Package sdk defines the types that the server and all plugins use: Message, Tool, Usage, Error.
// It imports only the standard library.
//
// To write a plugin, choose the package of its kind (sdk/agent, sdk/llm, sdk/files or
// sdk/mcptransport), implement the interface of that package, and call its Serve function from
// main. Plugins in other languages implement the services in the proto directory of the AgentArea
// repository.
package sdk
