// Streams: lost connections, a killed server, errors.

import assert from "node:assert/strict";
import { before, test } from "node:test";

import * as agentarea from "../src/index.js";
import { Proxy, Scripted, Server, admin, failure, password, server, tokens } from "./harness.js";

const { AgentAreaClient } = agentarea;
const slow = "/tokens 60 /delay 20ms";

let client;
let agent;
before(async () => {
  client = await admin();
  agent = (await client.createAgent("a", "chat", { model: "echo" })).id;
});

async function proxied() {
  const proxy = await Proxy.start((await server()).listen);
  return [proxy, new AgentAreaClient(proxy.url, client.token)];
}

test("events", async () => {
  const stream = await client.chatStream(agent, "Once upon a time", { sessionId: "first" });
  const events = [];
  for await (const event of stream) events.push(event);
  assert.deepEqual(events.map((e) => e.type), ["start", "token", "token", "token", "token", "end"]);
  assert.deepEqual(events.map((e) => e.eventId), [1, 2, 3, 4, 5, 6]);
  assert.deepEqual([stream.text, stream.sessionId], ["Once upon a time", "first"]);
  assert.equal(stream.end.metadata.run_id, stream.runId);
  const again = await client.runEvents(stream.runId, { after: 3 });
  assert.deepEqual([await again.wait(), again.lastEventId], [" a time", 6]);
});

test("a stream that is interrupted three times loses and repeats nothing", async () => {
  const [proxy, viaProxy] = await proxied();
  const stream = await viaProxy.chatStream(agent, slow);
  const events = [];
  for await (const event of stream) {
    events.push(event);
    if ([5, 20, 40].includes(events.length)) proxy.drop();
  }
  assert.equal(stream.text, tokens(60));
  assert.equal(events.map((e) => e.content ?? "").join(""), tokens(60));
  assert.deepEqual(events.map((e) => e.eventId), Array.from({ length: 62 }, (_, i) => i + 1));
  assert.equal(proxy.connections, 4);
  proxy.close();
});

test("a lost connection without reconnect", async () => {
  const [proxy, viaProxy] = await proxied();
  const stream = await viaProxy.chatStream(agent, slow, { reconnect: 0 });
  await assert.rejects(async () => {
    for await (const event of stream) if (event.eventId === 5) proxy.drop();
  }, agentarea.ConnectionFailed);
  const rest = await client.runEvents(stream.runId, { after: stream.lastEventId });
  assert.equal(stream.text + (await rest.wait()), tokens(60));
  proxy.close();
});

test("a client with a refresh token continues with a new token", async () => {
  const proxy = await Proxy.start((await server()).listen);
  const own = await AgentAreaClient.login(proxy.url, "admin", password);
  const stream = await own.chatStream(agent, slow);
  const other = new AgentAreaClient(client.baseUrl, own.token);
  for await (const event of stream) {
    if (event.eventId !== 5) continue;
    await own.refresh();
    proxy.drop();
  }
  assert.equal(stream.text, tokens(60));
  await other.me();
  proxy.close();
});

test("a logout ends the stream with an error", async () => {
  const own = await (await server()).login();
  const stream = await own.chatStream(agent, "/tokens 200 /delay 100ms");
  await assert.rejects(async () => {
    for await (const event of stream) if (event.eventId === 5) await own.logout();
  }, agentarea.Unauthorized);
  assert.equal((await client.cancelRun(stream.runId)).cancel_requested, true);
});

test("an error of the run", async () => {
  const stream = await client.chatStream(agent, "/tokens 3 /error rate_limited");
  await assert.rejects(stream.wait(), (error) => {
    assert.ok(error instanceof agentarea.ServiceUnavailable);
    return error.details.reason === "rate_limited";
  });
  assert.equal(stream.text, tokens(3));
  await assert.rejects((await client.chatStream(agent, "/error context_too_long")).wait(), agentarea.UpstreamError);
});

test("a rejected request", async () => {
  await assert.rejects(client.chatStream("agent-none", "Hello"), agentarea.NotFound);
  const stream = await client.chatStream(agent, slow, { sessionId: "one" });
  await assert.rejects(client.chatStream(agent, "Hello", { sessionId: "one" }), agentarea.Conflict);
  stream.close();
});

test("closing and aborting", async () => {
  const stream = await client.chatStream(agent, slow);
  for await (const event of stream) if (event.eventId === 3) break;
  const rest = [];
  for await (const event of stream) rest.push(event);
  assert.deepEqual(rest, []);
  assert.equal(await (await client.runEvents(stream.runId)).wait(), tokens(60));
  const stop = new AbortController();
  const watch = await client.chatStream(agent, slow, { signal: stop.signal });
  setTimeout(() => stop.abort(new Error("enough")), 100);
  await assert.rejects(watch.wait(), /enough/);
});

test("after kill -9 and a restart of the server, the answer is complete", async () => {
  const own = await Server.start();
  const restarting = await own.login();
  const one = (await restarting.createAgent("a", "chat", { model: "echo" })).id;
  const stream = await restarting.chatStream(one, slow);
  const events = [];
  let restarted;
  for await (const event of stream) {
    events.push(event);
    if (events.length === 30) {
      await own.kill();
      restarted = own.start();
    }
  }
  await restarted;
  assert.equal(stream.text, tokens(60));
  const numbers = events.map((e) => e.eventId);
  assert.deepEqual(numbers, [...new Set(numbers)].sort((a, b) => a - b));
  assert.deepEqual(events.filter((e) => e.type === "restart").map((e) => e.drop_after), [1]);
  assert.equal((await restarting.chatHistory(one)).messages.at(-1).content, tokens(60));
  own.remove();
});

const sse = (text) => [200, { "Content-Type": "text/event-stream", "Content-Length": "99999" }, text];
const token = (id, content) => `id: ${id}\ndata: {"type":"token","content":"${content}"}\n\n`;

test("a restart event drops tokens", async () => {
  const start = 'id: 1\ndata: {"type":"start","session_id":"s","run_id":"run-1"}\n\n';
  const restart = 'id: 100\ndata: {"type":"restart","attempt":2,"drop_after":2}\n\n';
  const end = 'id: 103\ndata: {"type":"end","message_id":"m","metadata":{}}\n\n';
  const scripted = await Scripted.start(
    sse(`${start}: still here\n\n${token(2, "a")}${token(3, "b")}${token(4, "cut")}`),
    sse(`${token(4, "again")}${restart}${token(101, "B")}id: 102\r\ndata: {"type":"tok`),
    [503, {}, failure("SERVICE_UNAVAILABLE")],
    sse('data: {"type":"error","error":{"code":"SERVICE_UNAVAILABLE","message":"stopping"}}\n\n'),
    sse(token(102, "C").replaceAll("\n", "\r\n") + end),
  );
  const stream = await new AgentAreaClient(scripted.url, "t", { retries: 0 }).chatStream("a", "b");
  assert.equal(await stream.wait(), "aBC");
  assert.deepEqual(scripted.requests.map((one) => one.headers["last-event-id"]), [undefined, "4", "101", "101", "101"]);
  assert.deepEqual(new Set(scripted.requests.slice(1).map((one) => one.path)), new Set(["/v1/runs/run-1/events"]));
  scripted.close();
});

test("a stream that is interrupted before its first event cannot be resumed", async () => {
  const scripted = await Scripted.start(sse(": still here\n\n"));
  const stream = await new AgentAreaClient(scripted.url, "t").chatStream("a", "b");
  await assert.rejects(stream.wait(), agentarea.ConnectionFailed);
  assert.equal(scripted.requests.length, 1);
  scripted.close();
});

test("a task", async () => {
  const task = await client.createTask("/tokens 5", agent);
  assert.equal(await (await client.taskEvents(task.id)).wait(), tokens(5));
  assert.equal((await client.getTask(task.id)).status, "completed");
});
