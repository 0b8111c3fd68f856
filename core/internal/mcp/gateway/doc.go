// Package gateway serves the MCP servers to MCP clients over streamable HTTP, at
// /mcp/{slug}/mcp.
//
// MCP has two eras. Up to revision 2025-11-25 a client opens a session by
// initialize; from 2026-07-28 on every request stands alone. Where client and
// server speak the same era, the gateway is a bridge for raw JSON-RPC messages:
// it gives requests ids of its own and puts the client's back into the answers,
// and changes nothing else.
//
//	legacy client  ── a session ────── a child of its own
//	modern client  ── a request ──┐
//	modern client  ── a request ──┴─── one child for all of a server's clients
//
// Across eras a translator stands where the child would be; go-sdk's server is
// its upper and go-sdk's client its lower half, so that the bridge sees a child
// of its client's era.
//
// What a legacy child sends on its own goes to the stream of its progress token,
// else of the only call under way, else to the open GET stream, else of the
// newest call, else it waits in a bounded buffer for a GET. What a modern child
// sends goes to the call or the subscription that it names. If it names none it
// goes to the only call under way that asked for log messages, and nowhere when
// there are several: they may be of different users.
package gateway
