/**
 * A client of the AgentArea API, for Node.js 20 or newer and for browsers.
 *
 *     import { AgentAreaClient } from "agentarea";
 *
 *     const client = new AgentAreaClient("http://localhost:8000", "your-token");
 *     const agent = await client.createAgent("test-agent", "chat", { model: "gpt-4" });
 */
export { AgentAreaClient } from "./client.js";
export * from "./errors.js";
export { EventStream, RunStream } from "./stream.js";
export { AgentAreaWebSocket } from "./websocket.js";
