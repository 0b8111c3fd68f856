// Every operation of the server's OpenAPI document, and related features.

import assert from "node:assert/strict";
import path from "node:path";
import { after, before, test } from "node:test";

import * as agentarea from "../src/index.js";
import { Server, WebSocket, admin, eventually, here } from "./harness.js";

const { AgentAreaClient } = agentarea;
const mcpServer = {
  command: process.execPath,
  args: [path.join(here, "mcp-server.js")],
  env: { API_KEY: "secret-key" },
};

// The tests call every operation on their own server. The last one checks that none is missing.
let server;
let c;
const called = new Set();

function recordingFetch(url, options) {
  called.add(`${options.method} ${new URL(url).pathname}`);
  return fetch(url, options);
}

before(async () => {
  server = await Server.start();
  c = await server.login({ fetch: recordingFetch });
});
after(() => server.remove());

async function all(iterator) {
  const found = [];
  for await (const one of iterator) found.push(one);
  return found;
}

const newAgent = async (more) => (await c.createAgent("a", "chat", { model: "echo", ...more })).id;

test("read operations", async () => {
  assert.equal((await c.health()).status, "healthy");
  assert.ok((await c.healthReady()).status);
  assert.equal((await c.me()).username, "admin");
  assert.ok((await c.refresh()).refresh_token);
  assert.ok((await c.listAgentTypes()).agent_types.some((one) => one.type === "chat"));
  assert.ok((await c.listModels()).models.some((one) => one.id === "echo/echo"));
  assert.ok((await c.listPlugins()).plugins.some((one) => one.label === "echo"));
  assert.ok((await c.reloadPlugins({ dryRun: true, force: true })).kept);
  assert.deepEqual((await c.listUsage({ by: "model", from: "2025-01-01", to: "2025-01-31" })).usage, []);
  assert.ok((await c.getStorageUsage()).database.limit_bytes > 0);
});

test("agents", async () => {
  const agent = await c.createAgent("a", "chat", { model: "echo" }, { description: "An agent", shared: false });
  assert.deepEqual([agent.description, agent.status], ["An agent", "active"]);
  assert.deepEqual(await c.getAgent(agent.id), agent);
  assert.ok((await c.listAgents({ limit: 5, type: "chat", status: "active" })).agents.some((one) => one.id === agent.id));
  const changed = await c.changeAgent(agent.id, { name: "b" }, { ifMatch: agent.etag });
  assert.notEqual(changed.etag, agent.etag);
  const stale = { ifMatch: agent.etag };
  await assert.rejects(c.changeAgent(agent.id, { name: "c" }, stale), agentarea.PreconditionFailed);
  await assert.rejects(c.replaceAgent(agent.id, agent, stale), agentarea.PreconditionFailed);
  const replaced = await c.replaceAgent(agent.id, { ...changed, name: "d" }, { ifMatch: changed.etag });
  assert.equal(replaced.name, "d");
  await assert.rejects(c.deleteAgent(agent.id, stale), agentarea.PreconditionFailed);
  assert.equal(await c.deleteAgent(agent.id), undefined);
  await assert.rejects(c.getAgent(agent.id), agentarea.NotFound);
});

test("chat and runs", async () => {
  const agent = await newAgent();
  const reply = await c.chat(agent, "Good day", { sessionId: "s" });
  assert.deepEqual([reply.message, reply.session_id], ["Good day", "s"]);
  assert.equal((await c.getRun(reply.metadata.run_id)).status, "completed");
  assert.equal(await (await c.runEvents(reply.metadata.run_id)).wait(), "Good day");
  const stream = await c.chatStream(agent, "/tokens 100 /delay 100ms");
  for await (const _ of stream) break;
  assert.equal((await c.cancelRun(stream.runId)).cancel_requested, true);
  await eventually(async () => (await c.getRun(stream.runId)).status === "cancelled");
  const history = await c.chatHistory(agent, { sessionId: "s", limit: 1, before: new Date() });
  assert.deepEqual([history.messages[0].content, history.has_more], ["Good day", true]);
  assert.deepEqual((await all(c.iterChatHistory(agent, { sessionId: "s" }))).map((one) => one.role), ["assistant", "user"]);
  assert.ok((await c.listSessions(agent)).sessions.some((one) => one.id === "s"));
  assert.equal((await all(c.iterSessions(agent))).length, 2);
  await assert.rejects(c.deleteSession(agent, ".."), TypeError);
  assert.equal(await c.deleteSession(agent, "s"), undefined);
  assert.deepEqual((await c.chatHistory(agent, { sessionId: "s" })).messages, []);
  assert.ok((await all(c.iterUsage())).some((one) => one.completions > 0));
});

test("tasks", async () => {
  const agent = await newAgent();
  const options = { description: "More of it", priority: "high", data: { n: 1 }, idempotencyKey: "one" };
  const task = await c.createTask("Hello", agent, { ...options, timeoutSeconds: 60, maxAttempts: 2 });
  assert.equal((await c.createTask("Hello", agent, { ...options, timeoutSeconds: 60, maxAttempts: 2 })).id, task.id);
  await assert.rejects(c.createTask("Another", agent, options), agentarea.Conflict);
  assert.match(await (await c.taskEvents(task.id)).wait(), /More of it/);
  assert.equal((await c.getTask(task.id)).status, "completed");
  assert.equal((await c.listTasks({ status: "completed", agentId: agent, priority: "high" })).total, 1);
  await assert.rejects(c.cancelTask(task.id), agentarea.Conflict);
  const slow = await c.createTask("/tokens 100 /delay 100ms", agent);
  await c.cancelTask(slow.id);
  await eventually(async () => (await c.getTask(slow.id)).status === "cancelled");
  assert.deepEqual(new Set((await all(c.iterTasks({ agentId: agent }))).map((one) => one.id)), new Set([task.id, slow.id]));
});

test("MCP servers", async () => {
  const one = await c.createMcpServer("greeter", mcpServer, { slug: "greeter", autoStart: false });
  assert.deepEqual([one.status, one.config.env.API_KEY], ["stopped", "***"]);
  await c.startMcpServer(one.id);
  const runs = () => eventually(async () => (await c.getMcpServer(one.id)).status === "running");
  await runs();
  assert.deepEqual((await c.listMcpTools(one.id)).tools.map((tool) => tool.qualified_name), ["greeter__greet"]);
  await eventually(async () => (await c.mcpServerLogs(one.id, { tail: 9 })).logs.some((line) => line.text === "server started"));
  const { etag } = await c.getMcpServer(one.id);
  const changed = await c.changeMcpServer(one.id, { description: "It greets" }, { ifMatch: etag });
  assert.equal(changed.description, "It greets");
  assert.equal((await c.replaceMcpServer(one.id, { ...changed, name: "Greeter" })).name, "Greeter");
  await c.restartMcpServer(one.id);
  await runs();
  // An agent calls the server's tool.
  const stream = await c.chatStream(await newAgent({ mcp_servers: ["greeter"] }), "/tool greeter__greet {}");
  assert.ok((await all(stream)).some((event) => event.type === "tool_result"));
  assert.equal(stream.text, "hello");
  // The log stream ends when the server is deleted.
  for await (const line of await c.followMcpServerLogs(one.id, { tail: 100 })) if (line.text === "server started") break;
  const log = await c.followMcpServerLogs(one.id);
  await c.stopMcpServer(one.id);
  await assert.rejects(c.deleteMcpServer(one.id), agentarea.Conflict); // the agent uses it
  await c.deleteMcpServer(one.id, { force: true });
  assert.deepEqual(new Set((await all(log)).map((line) => line.type)), new Set(["log"]));
  const config = { url: "http://127.0.0.1:9/mcp", headers: { "X-Key": "secret" } };
  const remote = await c.createMcpServer("remote", config, { autoStart: false });
  assert.deepEqual([remote.transport, remote.slug, remote.config.headers["X-Key"]], ["http", "remote", "***"]);
  assert.equal((await c.listMcpServers({ limit: 1 })).total, 1);
  assert.deepEqual((await all(c.iterMcpServers())).map((server) => server.id), [remote.id]);
});

test("files", async () => {
  const file = await c.uploadFile(new TextEncoder().encode("some text"), { name: "a.txt", metadata: { n: 1 } });
  assert.deepEqual([file.size, file.metadata], [9, { n: 1 }]);
  assert.deepEqual(await c.getFile(file.id), file);
  assert.equal(new TextDecoder().decode(await c.readFile(file.id)), "some text");
  assert.equal((await c.changeFile(file.id, { name: "b.txt" }, { ifMatch: file.etag })).name, "b.txt");
  assert.equal((await c.listFiles({ name: "b.txt", contentType: "text/plain" })).total, 1);
  assert.deepEqual((await all(c.iterFiles())).map((one) => one.name), ["b.txt"]);
  assert.match((await c.chat(await newAgent(), "See:", { fileIds: [file.id] })).message, /some text/);
  await c.downloadFile(file.id, path.join(server.dir, "download"));
  const moved = (await all(await c.moveFiles("local", "other"))).at(-1);
  assert.deepEqual([moved.type, moved.files], ["end", 1]);
  await assert.rejects(c.moveFiles("local", "nowhere"), agentarea.ValidationError);
  assert.equal(new TextDecoder().decode(await c.readFile(file.id)), "some text");
  await c.deleteFile(file.id);
  await assert.rejects(c.readFile(file.id), agentarea.NotFound);
});

test("users", async () => {
  const user = await c.createUser("ann", "ann@example.com", "a-password-of-ann", { role: "viewer" });
  assert.equal((await c.getUser(user.id)).role, "viewer");
  assert.equal((await c.listUsers({ limit: 1 })).total, 2);
  assert.deepEqual(new Set((await all(c.iterUsers())).map((one) => one.username)), new Set(["admin", "ann"]));
  await assert.rejects(c.createUser("ann", "ann@example.com", "a-password-of-ann"), agentarea.Conflict);
  const ann = await AgentAreaClient.login(server.url, "ann", "a-password-of-ann");
  await assert.rejects(ann.createAgent("a", "chat", { model: "echo" }), agentarea.Forbidden);
  assert.deepEqual((await ann.listAgents()).agents, []);
  assert.equal((await c.changeUser(user.id, { role: "member" })).role, "member");
  assert.equal(await c.resetPassword(user.id, "another-password-of-ann", { endApiKeys: true }), undefined);
  assert.equal(await c.endUserSessions(user.id), undefined);
  const gone = await AgentAreaClient.login(server.url, "ann", "another-password-of-ann", { fetch: recordingFetch });
  assert.equal(await gone.endSessions(), undefined);
  await assert.rejects(gone.me(), agentarea.Unauthorized);
  const again = await AgentAreaClient.login(server.url, "ann", "another-password-of-ann", { fetch: recordingFetch });
  assert.equal(await again.changePassword("another-password-of-ann", "a-third-password-of-ann"), undefined);
  assert.equal((await again.me()).role, "member");
  const archive = Buffer.concat(await all(c.exportUser(user.id)));
  assert.ok(archive.includes("user.jsonl"));
  const heir = await c.createUser("heir", "heir@example.com", "a-password-of-heir");
  const leaver = await c.createUser("gone", "gone@example.com", "a-password-of-gone");
  assert.equal(await c.deleteUser(leaver.id, { transferTo: heir.id }), undefined);
  assert.equal(await c.deleteUser(heir.id), undefined);
  await c.changeUser(user.id, { disabled: true });
  await assert.rejects(eventually(async () => !(await again.me()), 5), agentarea.Unauthorized);
  const [entry] = await all(c.iterAudit({ action: "change-user", target: user.id, to: new Date() }));
  assert.deepEqual([entry.outcome, entry.username], ["done", "admin"]);
  assert.ok((await c.listAudit({ outcome: "refused", from: "2025-01-01T00:00:00Z", limit: 1 })).total > 0);
});

test("API keys", async () => {
  const key = await c.createApiKey("ci", ["agents:read", "chat:write"], { expiresAt: new Date(Date.now() + 86_400_000) });
  assert.equal((await c.getApiKey(key.id)).name, "ci");
  assert.equal((await c.listApiKeys({ userId: "*" })).total, 1);
  assert.deepEqual((await all(c.iterApiKeys())).map((one) => one.id), [key.id]);
  const agent = await newAgent();
  const program = new AgentAreaClient(server.url, key.key);
  assert.equal(await (await program.chatStream(agent, "By a key")).wait(), "By a key");
  const socket = await program.websocket({ WebSocket });
  await socket.subscribe(`agent.${agent}.events`);
  socket.close();
  await assert.rejects(program.deleteAgent(agent), agentarea.Forbidden);
  assert.equal(await c.deleteApiKey(key.id), undefined);
  await assert.rejects(eventually(async () => !(await program.getAgent(agent)), 5), agentarea.Unauthorized);
});

test("every operation has a method and was called", async () => {
  await c.logout();
  const { paths } = await (await fetch(`${server.url}/openapi.json`)).json();
  called.add("GET /v1/ws"); // called by websocket.test.js
  const missing = [];
  const notCalled = [];
  for (const [template, item] of Object.entries(paths)) {
    const pattern = template.replace(/\/$/, "").replace(/\{\w+\}/g, "[^/]+");
    for (const [method, { operationId }] of Object.entries(item)) {
      const name = operationId.replace(/-(.)/g, (_, letter) => letter.toUpperCase());
      if (!(AgentAreaClient.prototype[name] ?? AgentAreaClient[name])) missing.push(operationId);
      const like = new RegExp(`^${method.toUpperCase()} ${pattern}/?$`);
      if (![...called].some((one) => like.test(one))) notCalled.push(operationId);
    }
  }
  assert.deepEqual({ missing, notCalled }, { missing: [], notCalled: [] });
});

test("each item of three pages is listed once, although one is added meanwhile", async () => {
  const client = await admin();
  const ids = [];
  for (let i = 0; i < 205; i++) ids.push((await client.createAgent(`a${i}`, "chat", { model: "echo" })).id);
  const seen = [];
  for await (const one of client.iterAgents()) {
    if (seen.length === 50) await client.createAgent("new", "chat", { model: "echo" });
    seen.push(one.id);
  }
  assert.equal(new Set(seen).size, seen.length);
  assert.ok(ids.every((id) => seen.includes(id)));
});

test("an error names the invalid field", async () => {
  const client = await admin();
  await assert.rejects(client.createAgent("a", "chat", { model: "echo", temperature: "hot" }), (error) => {
    assert.deepEqual([error.status, error.field], [400, "config.temperature"]);
    assert.match(error.requestId, /^req-/);
    return Boolean(error.details.issue);
  });
});
