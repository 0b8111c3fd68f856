// The WebSocket: tasks until they are done, broken connections, a killed server.

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

/** Notes what of a socket has come, task by task. */
class Heard {
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

const whole = ["pending", "running", "completed"];

test("tasks until done", async () => {
  const socket = await client.websocket({ WebSocket });
  await socket.subscribe("tasks");
  const task = await client.createTask("Hello", agent);
  const heard = new Heard(socket);
  assert.deepEqual(await heard.untilDone(1), { [task.id]: whole });
  await socket.unsubscribe("tasks");
  assert.equal(await socket.subscribe(`task.${task.id}.events`, { after: 0 }), 0);
  assert.deepEqual(await new Heard(socket).untilDone(1), { [task.id]: whole });
  socket.close();
  assert.deepEqual(await heard.messages.next(), { done: true, value: undefined });
});

test("an agent", async () => {
  const socket = await client.websocket({ WebSocket });
  await socket.subscribe(`agent.${agent}.events`);
  await client.chat(agent, "Good day", { sessionId: "s" });
  for await (const message of socket) {
    assert.deepEqual([message.type, message.message], ["agent.message", "Good day"]);
    break;
  }
  socket.close();
});

test("what can not be", async () => {
  const socket = await client.websocket({ WebSocket });
  await Promise.all([
    assert.rejects(socket.subscribe("nothing"), agentarea.ValidationError),
    assert.rejects(socket.subscribe("agent.agent-none.events"), agentarea.NotFound),
    socket.subscribe("tasks"),
  ]);
  socket.close();
  await assert.rejects(socket.subscribe("tasks"), agentarea.ConnectionFailed);
  const bad = new AgentAreaClient(client.baseUrl, "bad");
  await assert.rejects(bad.websocket({ WebSocket }), agentarea.Unauthorized);
  await assert.rejects(client.websocket({ WebSocket: null }), /npm install ws/);
});

test("whenever it is cut, each message comes once and in order", async () => {
  const proxy = await Proxy.start((await server()).listen);
  const cutting = new AgentAreaClient(proxy.url, client.token);
  const socket = await cutting.websocket({ WebSocket });
  await socket.subscribe("tasks");
  const heard = new Heard(socket);
  const made = [];
  const make = async (title) => made.push((await client.createTask(title, agent)).id);
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 3; i++) await make(`Hello ${i}`);
    for (let i = 0; i < 4; i++) await heard.one();
    proxy.cut();
    await make("Hello meanwhile");
  }
  await heard.untilDone(made.length);
  assert.deepEqual(heard.statuses, Object.fromEntries(made.map((one) => [one, whole])));
  assert.deepEqual(heard.numbers, [...new Set(heard.numbers)].sort((a, b) => a - b));
  // Cut while it subscribes, too.
  proxy.cut();
  await socket.subscribe("system");
  socket.close();
  proxy.close();
});

test("who reads slowly misses nothing", async () => {
  const proxy = await Proxy.start((await server()).listen);
  const socket = await new AgentAreaClient(proxy.url, client.token).websocket({ WebSocket });
  await socket.subscribe("tasks", { after: 0 });
  const made = [];
  for (let i = 0; i < 350; i++) made.push((await client.createTask(`Hello ${i}`, agent)).id);
  await (await client.taskEvents(made.at(-1))).wait();
  const heard = new Heard(socket);
  while (!made.every((id) => heard.statuses[id]?.at(-1) === "completed")) await heard.one();
  for (const id of made) assert.deepEqual(heard.statuses[id], whole);
  assert.ok(proxy.connections > 1, "it was closed when a thousand waited");
  socket.close();
  proxy.close();
});

test("a killed server", async () => {
  const own = await Server.start();
  const dying = await own.login();
  const one = (await dying.createAgent("a", "chat", { model: "echo" })).id;
  const socket = await dying.websocket({ WebSocket });
  await socket.subscribe("tasks");
  const made = [];
  for (let i = 0; i < 3; i++) made.push((await dying.createTask(`/tokens 5 /delay 50ms ${i}`, one)).id);
  const heard = new Heard(socket);
  await heard.one();
  await own.kill();
  const restarted = own.start();
  await heard.untilDone(made.length);
  await restarted;
  for (const id of made) assert.deepEqual([heard.statuses[id].at(0), heard.statuses[id].at(-1)], ["pending", "completed"]);
  socket.close();
  own.remove();
});

test("a stale token is refreshed, and whose login has ended is told", async () => {
  const own = await (await server()).login();
  const stale = new AgentAreaClient(own.baseUrl, "stale", { refreshToken: own.refreshToken });
  const socket = await stale.websocket({ WebSocket });
  await socket.subscribe("tasks");
  await stale.logout();
  await assert.rejects(async () => {
    for await (const _ of socket);
  }, agentarea.Unauthorized);
});

test("closing ends the reading", async () => {
  const socket = await client.websocket({ WebSocket });
  await socket.subscribe("system");
  sleep(100).then(() => socket.close());
  for await (const _ of socket);
});

test("nobody there", async () => {
  const proxy = await Proxy.start((await server()).listen);
  const lonely = new AgentAreaClient(proxy.url, client.token);
  const socket = await lonely.websocket({ WebSocket, reconnect: 1 });
  proxy.close();
  await assert.rejects(async () => {
    for await (const _ of socket);
  }, agentarea.ConnectionFailed);
  await assert.rejects(lonely.websocket({ WebSocket }), agentarea.ConnectionFailed);
});
