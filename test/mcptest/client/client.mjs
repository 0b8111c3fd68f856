// A client of the official TypeScript SDK: it does with server-everything what a
// user's would, and prints what came of each thing as a line of JSON.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { CreateMessageRequestSchema, ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";

const [url, token] = process.argv.slice(2);
const tell = (name, value) => console.log(JSON.stringify({ name, value }));

const client = new Client({ name: "test", version: "1" }, { capabilities: { sampling: {}, elicitation: {} } });
client.setRequestHandler(CreateMessageRequestSchema, async () => ({
  model: "test", role: "assistant", content: { type: "text", text: "a sampled answer" },
}));
client.setRequestHandler(ElicitRequestSchema, async () => ({ action: "decline" }));

const transport = new StreamableHTTPClientTransport(new URL(url), {
  requestInit: { headers: { Authorization: `Bearer ${token}` } },
});
await client.connect(transport);
tell("server", client.getServerVersion().name);

const call = async (name, args, options) => {
  const result = await client.callTool({ name, arguments: args }, undefined, options);
  return result.content.map((c) => c.text ?? c.type).join("\n");
};

const tools = (await client.listTools()).tools.map((t) => t.name);
tell("tools", tools);
tell("echo", await call("echo", { message: "hello" }));
tell("sum", await call("get-sum", { a: 40, b: 2 }));

let progress = 0;
tell("long", await call("trigger-long-running-operation", { duration: 1, steps: 4 }, { onprogress: () => progress++ }));
tell("progress", progress);

const abort = new AbortController();
setTimeout(() => abort.abort("enough"), 200);
const began = Date.now();
try {
  await call("trigger-long-running-operation", { duration: 30, steps: 30 }, { signal: abort.signal });
  tell("cancel", "it went on");
} catch (error) {
  tell("cancel", Date.now() - began < 5000 ? "cancelled" : "late");
}

tell("sampling", await call("trigger-sampling-request", { prompt: "say", maxTokens: 10 }));
tell("elicitation", await call("trigger-elicitation-request", {}));

const resources = (await client.listResources()).resources;
const read = await client.readResource({ uri: resources[0].uri });
tell("resource", read.contents.length);
const prompts = (await client.listPrompts()).prompts;
tell("prompts", prompts.length);

await transport.terminateSession();
await client.close();
