// Package gateway serves the MCP servers to MCP clients over streamable HTTP, at
// /mcp/{slug}/mcp.
//
// MCP has two kinds of revisions. In a legacy revision, up to 2025-11-25, a client
// opens a session with initialize. In a modern revision, from 2026-07-28 on, each
// request is independent. If client and server use the same kind, the gateway
// forwards raw JSON-RPC messages: it replaces the IDs of requests with its own,
// restores the client's IDs in responses, and changes nothing else.
//
//	legacy client  ── a session ────── its own connection
//	modern client  ── a request ──┐
//	modern client  ── a request ──┴─── one connection for all clients of a server
//
// If the kinds differ, a translator takes the place of the connection. It consists
// of a server and a client of the Go SDK, so that the gateway always sees a
// connection of the client's kind.
//
// A legacy server can send messages that are not responses. The gateway adds such a
// message to the first of these streams that exists:
//
//   - the stream of the call with the message's progress token
//   - the stream of the only open call
//   - the open GET stream
//   - the stream of the newest call
//   - a bounded buffer that the next GET reads
//
// A notification of a modern server goes to the call or the subscription that it
// names. If it names none, it goes to the only open call that asked for log
// messages. With several such calls it is dropped, because they may belong to
// different users.
//
// An error that concerns the JSON-RPC message in a request is a JSON-RPC error response.
// Every other error, on every path and for every HTTP method, has the format of the API.
package gateway
