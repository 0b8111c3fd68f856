// Runs the examples of the README and of the API reference as they are written.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { pathToFileURL } from "node:url";

import { admin, here, password } from "./harness.js";

const contractClass = `
class AgentAreaClient {
  constructor(baseUrl, token) {
    this.baseUrl = baseUrl;
    this.headers = {
      'Authorization': \`Bearer \${token}\`,
      'Content-Type': 'application/json'
    };
  }

  async createAgent(name, type, config) {
    const response = await fetch(\`\${this.baseUrl}/v1/agents/\`, {
      method: 'POST',
      headers: this.headers,
      body: JSON.stringify({ name, type, config })
    });
    return response.json();
  }
}
`;

const contractUsage = `
// Usage
const client = new AgentAreaClient('http://localhost:8000', 'your-token');
const agent = await client.createAgent('test-agent', 'chat', { model: 'gpt-4' });
`;

const contractSocket = `
// Connect to WebSocket
const ws = new WebSocket('ws://localhost:8000/v1/ws');
await new Promise((resolve) => { ws.onopen = resolve; });
const heard = [];
ws.onmessage = (event) => { heard.push(JSON.parse(event.data)); };

// Authentication
ws.send(JSON.stringify({
  type: 'auth',
  token: 'your-access-token'
}));

// Subscribe to agent events
ws.send(JSON.stringify({
  type: 'subscribe',
  channel: 'agent.agent-123.events'
}));
`;

const dir = mkdtempSync(path.join(tmpdir(), "agentarea-clients-"));
after(() => rmSync(dir, { recursive: true }));

/** Runs an example with the URL and the credentials of the test server. */
async function run(name, text, more = {}) {
  const client = await admin();
  const modules = { agentarea: path.join(here, "../src/index.js"), ws: path.join(here, "ws.js") };
  for (const [placeholder, replacement] of Object.entries({
    "localhost:8000": new URL(client.baseUrl).host,
    "your-token": client.token,
    "your-access-token": client.token,
    "your-username": "admin",
    "your-password": password,
    ...more,
  })) {
    text = text.replaceAll(placeholder, replacement);
  }
  for (const [module, file] of Object.entries(modules)) text = text.replaceAll(`from "${module}"`, `from "${pathToFileURL(file)}"`);
  const file = path.join(dir, `${name}.mjs`);
  writeFileSync(file, text);
  const result = spawnSync(process.execPath, [file], { cwd: dir, encoding: "utf8", timeout: 60_000 });
  assert.equal(result.status, 0, result.stdout + result.stderr);
  return result.stdout;
}

const print = "console.log(JSON.stringify([agent.name, agent.config]));";
const created = '["test-agent",{"model":"gpt-4"}]\n';

test("the API reference's usage with this client", async () => {
  assert.equal(await run("usage", 'import { AgentAreaClient } from "agentarea";' + contractUsage + print), created);
});

test("the API reference's own client", async () => {
  assert.equal(await run("reference", contractClass + contractUsage + print), created);
});

test("the API reference's WebSocket", async () => {
  const agent = await (await admin()).createAgent("a", "chat", { model: "echo" });
  const wait = `
    while (heard.length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
    console.log(heard.map((one) => one.type).join(" "));
    ws.close();`;
  const text = 'import { WebSocket } from "ws";' + contractSocket + wait;
  assert.equal(await run("socket", text, { "agent-123": agent.id }), "auth.ok subscribed\n");
});

test("the README", async () => {
  const readme = readFileSync(path.join(here, "../../README.md"), "utf8");
  const blocks = [...readme.matchAll(/```js(?: [^\n]*)?\n(.*?)```/gs)].map((one) => one[1]);
  assert.ok(blocks.length > 3);
  writeFileSync(path.join(dir, "report.pdf"), "%PDF-1.4 a report");
  const out = await run("readme", blocks.join("\n"));
  assert.match(out, /Hello, Ann!/);
  assert.match(out, /completed/);
});

test("the page Build an app", async () => {
  const page = readFileSync(path.join(here, "../../../../docs/build-an-app.md"), "utf8");
  const blocks = [...page.matchAll(/```js(?: [^\n]*)?\n(.*?)```/gs)].map((one) => one[1]);
  assert.ok(blocks.length > 4);
  writeFileSync(path.join(dir, "list.txt"), "Milk, bread, eggs");
  const npx = '{ command: "npx", args: ["-y", "@modelcontextprotocol/server-everything"] }';
  const local = JSON.stringify({ command: process.execPath, args: [path.join(here, "mcp-server.js")] });
  const text = blocks.join("\n");
  assert.ok(text.includes(npx));
  const out = await run("app", text, { [npx]: local, '"demo"': '"demo-js"', demo__echo: "demo-js__greet" });
  for (const expected of ["Hello, Ann!", "tool_result demo-js__greet", "Milk, bread, eggs"]) assert.ok(out.includes(expected), out);
});
