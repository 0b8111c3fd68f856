// The WebSocket: task events, lost connections, a killed server.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import * as agentarea from "../src/index.js";
import { Proxy, Server, WebSocket, admin, server } from "./harness.js";

const { AgentAreaClient } = agentarea;

let client;
let agent;
before(async () => {
  client = await admin();
  agent = (await client.createAgent("a", "chat", { model: "echo" })).id;
});

/** Records the messages of a socket, per task. */
class Recorder {
  numbers = [];
  /** @type {Record<string, string[]>} */
  statuses = {};

  constructor(socket) {
    this.messages = socket[Symbol.asyncIterator]();
  }

  async one() {
    const { value } = await this.messages.next();
    this.numbers.push(value.seq);
    (this.statuses[value.task_id] ??= []).push(value.status);
  }

  async untilDone(number) {
    while (Object.values(this.statuses).filter((one) => one.at(-1) === "completed").length < number) await this.one();
    return this.statuses;
  }
}

const allStatuses = ["pending", "running", "completed"];

test("task events", async () => {
  const socket = await client.websocket({ WebSocket });
  await socket.subscribe("tasks");
  const task = await client.createTask("Hello", agent);
  const recorder = new Recorder(socket);
  assert.deepEqual(await recorder.untilDone(1), { [task.id]: allStatuses });
  await socket.unsubscribe("tasks");
  assert.equal(await socket.subscribe(`task.${task.id}.events`, { after: 0 }), 0);
  assert.deepEqual(await new Recorder(socket).untilDone(1), { [task.id]: allStatuses });
  socket.close();
  assert.deepEqual(await recorder.messages.next(), { done: true, value: undefined });
});

test("agent events", async () => {
  const socket = await client.websocket({ WebSocket });
  await socket.subscribe(`agent.${agent}.events`);
  await client.chat(agent, "Good day", { sessionId: "s" });
  for await (const message of socket) {
    assert.deepEqual([message.type, message.message], ["agent.message", "Good day"]);
    break;
  }
  socket.close();
});

test("errors", async () => {
  const socket = await client.websocket({ WebSocket });
  await Promise.all([
    assert.rejects(socket.subscribe("nothing"), agentarea.ValidationError),
    assert.rejects(socket.subscribe("agent.agent-none.events"), agentarea.NotFound),
    socket.subscribe("tasks"),
  ]);
  socket.close();
  await assert.rejects(socket.subscribe("tasks"), agentarea.ConnectionFailed);
  const unauthenticated = new AgentAreaClient(client.baseUrl, "bad");
  await assert.rejects(unauthenticated.websocket({ WebSocket }), agentarea.Unauthorized);
  await assert.rejects(client.websocket({ WebSocket: null }), /npm install ws/);
});

test("after each lost connection, messages arrive once and in order", async () => {
  const proxy = await Proxy.start((await server()).listen);
  const viaProxy = new AgentAreaClient(proxy.url, client.token);
  const socket = await viaProxy.websocket({ WebSocket });
  await socket.subscribe("tasks");
  const recorder = new Recorder(socket);
  const taskIds = [];
  const createTask = async (title) => taskIds.push((await client.createTask(title, agent)).id);
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 3; i++) await createTask(`Hello ${i}`);
    for (let i = 0; i < 4; i++) await recorder.one();
    proxy.drop();
    await createTask("Hello meanwhile");
  }
  await recorder.untilDone(taskIds.length);
  assert.deepEqual(recorder.statuses, Object.fromEntries(taskIds.map((one) => [one, allStatuses])));
  assert.deepEqual(recorder.numbers, [...new Set(recorder.numbers)].sort((a, b) => a - b));
  // The connection is lost during subscribe, too.
  proxy.drop();
  await socket.subscribe("system");
  socket.close();
  proxy.close();
});

test("a slow reader loses no messages", async () => {
  const proxy = await Proxy.start((await server()).listen);
  const socket = await new AgentAreaClient(proxy.url, client.token).websocket({ WebSocket });
  await socket.subscribe("tasks", { after: 0 });
  const taskIds = [];
  for (let i = 0; i < 350; i++) taskIds.push((await client.createTask(`Hello ${i}`, agent)).id);
  await (await client.taskEvents(taskIds.at(-1))).wait();
  const recorder = new Recorder(socket);
  while (!taskIds.every((id) => recorder.statuses[id]?.at(-1) === "completed")) await recorder.one();
  for (const id of taskIds) assert.deepEqual(recorder.statuses[id], allStatuses);
  assert.ok(proxy.connections > 1, "the connection is closed when a thousand messages are queued");
  socket.close();
  proxy.close();
});

test("a killed server", async () => {
  const own = await Server.start();
  const restarting = await own.login();
  const one = (await restarting.createAgent("a", "chat", { model: "echo" })).id;
  const socket = await restarting.websocket({ WebSocket });
  await socket.subscribe("tasks");
  const taskIds = [];
  for (let i = 0; i < 3; i++) taskIds.push((await restarting.createTask(`/tokens 5 /delay 50ms ${i}`, one)).id);
  const recorder = new Recorder(socket);
  await recorder.one();
  await own.kill();
  const restarted = own.start();
  await recorder.untilDone(taskIds.length);
  await restarted;
  for (const id of taskIds) assert.deepEqual([recorder.statuses[id].at(0), recorder.statuses[id].at(-1)], ["pending", "completed"]);
  socket.close();
  own.remove();
});

test("an expired token is refreshed, and a logout ends the connection with an error", async () => {
  const own = await (await server()).login();
  const stale = new AgentAreaClient(own.baseUrl, "stale", { refreshToken: own.refreshToken });
  const socket = await stale.websocket({ WebSocket });
  await socket.subscribe("tasks");
  await stale.logout();
  await assert.rejects(async () => {
    for await (const _ of socket);
  }, agentarea.Unauthorized);
});

test("close ends the iteration", async () => {
  const socket = await client.websocket({ WebSocket });
  await socket.subscribe("system");
  sleep(100).then(() => socket.close());
  for await (const _ of socket);
});

test("server unreachable", async () => {
  const proxy = await Proxy.start((await server()).listen);
  const unreachable = new AgentAreaClient(proxy.url, client.token);
  const socket = await unreachable.websocket({ WebSocket, reconnect: 1 });
  proxy.close();
  await assert.rejects(async () => {
    for await (const _ of socket);
  }, agentarea.ConnectionFailed);
  await assert.rejects(unreachable.websocket({ WebSocket }), agentarea.ConnectionFailed);
});
