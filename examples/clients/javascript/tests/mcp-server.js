// An MCP server over standard input and output with one tool.

import { createInterface } from "node:readline";

console.error("server started");
for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) continue;
  const results = {
    initialize: {
      protocolVersion: params?.protocolVersion,
      capabilities: { tools: {} },
      serverInfo: { name: "greeter", version: "1" },
    },
    "tools/list": { tools: [{ name: "greet", description: "Greets", inputSchema: { type: "object" } }] },
    "tools/call": { content: [{ type: "text", text: "hello" }] },
    ping: {},
  };
  const error = { code: -32601, message: `unknown method ${method}` };
  console.log(JSON.stringify({ jsonrpc: "2.0", id, ...(results[method] ? { result: results[method] } : { error }) }));
}
