// Tokens, retries, timeouts and errors, on a scripted server.

import assert from "node:assert/strict";
import net from "node:net";
import { test } from "node:test";

import * as agentarea from "../src/index.js";
import { Scripted, Server, admin, failure, server } from "./harness.js";

const { AgentAreaClient } = agentarea;

const ok = [200, {}, { id: "agent-1" }];
const made = [201, {}, { id: "task-1" }];
const busy = [429, { "Retry-After": "0" }, failure("RATE_LIMITED")];
const down = [503, { "Retry-After": "0" }, failure("SERVICE_UNAVAILABLE")];

/** Returns the result or the error of a call, and the requests. */
async function call(script, operation, options) {
  const scripted = await Scripted.start(...script);
  const client = new AgentAreaClient(scripted.url, "t", options);
  try {
    return [await operation(client), scripted.requests];
  } catch (error) {
    if (!(error instanceof agentarea.AgentAreaError)) throw error;
    return [error, scripted.requests];
  } finally {
    client.close();
    scripted.close();
  }
}

test("too many requests", async () => {
  for (const operation of [
    (c) => c.getAgent("agent-1"),
    (c) => c.createAgent("a", "chat", {}),
    (c) => c.changeAgent("agent-1", {}),
    (c) => c.chat("agent-1", "Hello"),
  ]) {
    const [got, requests] = await call([busy, busy, ok], operation);
    assert.deepEqual(got, { id: "agent-1" });
    assert.equal(requests.length, 3);
    assert.deepEqual(requests[0].body, requests[2].body);
  }
});

test("waits for Retry-After", async () => {
  const start = performance.now();
  await call([[429, { "Retry-After": "1" }, failure("RATE_LIMITED")], ok], (c) => c.me());
  assert.ok(performance.now() - start > 990);
});

test("gives up after all retries", async () => {
  let [got, requests] = await call([busy], (c) => c.me());
  assert.ok(got instanceof agentarea.RateLimited);
  assert.deepEqual([got.status, got.code, got.retryAfter, got.requestId], [429, "RATE_LIMITED", 0, "req-1"]);
  assert.equal(requests.length, 4);
  [got, requests] = await call([busy], (c) => c.me(), { retries: 0 });
  assert.ok(got instanceof agentarea.RateLimited);
  assert.equal(requests.length, 1);
});

test("does not wait longer than a minute", async () => {
  const [got, requests] = await call([[429, { "Retry-After": "3600" }, failure("RATE_LIMITED")]], (c) => c.me());
  assert.deepEqual([got.retryAfter, requests.length], [3600, 1]);
});

test("Retry-After with a date", async () => {
  const date = { "Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT" };
  const [got] = await call([[429, date, failure("RATE_LIMITED")]], (c) => c.me(), { retries: 0 });
  assert.equal(got.retryAfter, 0);
});

test("unavailable, and lost connection", async () => {
  for (const failed of [down, null]) {
    let [got, requests] = await call([failed, ok], (c) => c.getAgent("agent-1"));
    assert.deepEqual([got, requests.length], [{ id: "agent-1" }, 2]);
    [got, requests] = await call([failed, ok], (c) => c.chat("agent-1", "Hello"));
    assert.ok(got instanceof agentarea.ServiceUnavailable || got instanceof agentarea.ConnectionFailed);
    assert.equal(requests.length, 1);
  }
});

test("a task is created once", async () => {
  const [got, requests] = await call([null, down, made], (c) => c.createTask("t", "agent-1"));
  assert.deepEqual(got, { id: "task-1" });
  const keys = new Set(requests.map((one) => one.headers["idempotency-key"]));
  assert.deepEqual([requests.length, keys.size], [3, 1]);
  const [, others] = await call([made], (c) => c.createTask("t", "agent-1"));
  assert.ok(!keys.has(others[0].headers["idempotency-key"]));
});

test("a delete with a lost response", async () => {
  const notFound = [404, {}, failure("NOT_FOUND")];
  let [got] = await call([null, notFound], (c) => c.deleteAgent("agent-1"));
  assert.equal(got, undefined);
  [got] = await call([notFound], (c) => c.deleteAgent("agent-1"));
  assert.ok(got instanceof agentarea.NotFound);
});

test("timeout", async () => {
  const [got, requests] = await call([2], (c) => c.me(), { timeout: 0.2, retries: 1 });
  assert.ok(got instanceof agentarea.TimedOut);
  assert.deepEqual([got.code, got.status, requests.length], ["TIMEOUT", undefined, 2]);
});

test("an abort signal", async () => {
  const scripted = await Scripted.start(2);
  const client = new AgentAreaClient(scripted.url, "t");
  await assert.rejects(client.me({ signal: AbortSignal.timeout(50) }), { name: "TimeoutError" });
  const waiting = client.me();
  client.close();
  await assert.rejects(waiting, agentarea.ConnectionFailed);
  scripted.close();
});

test("a closed port", async () => {
  const taken = net.createServer();
  await new Promise((resolve) => taken.listen(0, "127.0.0.1", resolve));
  const { port } = taken.address();
  await new Promise((resolve) => taken.close(resolve));
  const client = new AgentAreaClient(`http://127.0.0.1:${port}`, undefined, { retries: 0 });
  await assert.rejects(client.health(), (error) => error.code === "CONNECTION_FAILED" && /ECONNREFUSED/.test(error.message));
});

test("not AgentArea", async () => {
  let [got] = await call([[200, {}, "<html>"]], (c) => c.me());
  assert.equal(got.code, "INVALID_RESPONSE");
  [got] = await call([[502, { "X-Request-ID": "req-9" }, "<html>"]], (c) => c.me());
  assert.ok(got instanceof agentarea.UpstreamError);
  assert.equal(got.requestId, "req-9");
  [got] = await call([[418, {}, ""]], (c) => c.me());
  assert.deepEqual([got.status, got.code], [418, "INTERNAL_ERROR"]);
});

test("an incomplete response", async () => {
  const [got, requests] = await call([[200, { "Content-Length": "100" }, '{"id":']], (c) => c.chat("a", "b"));
  assert.ok(got instanceof agentarea.ConnectionFailed);
  assert.equal(requests.length, 1);
});

test("headers", async () => {
  const limits = { "X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "7", "X-RateLimit-Reset": "42", ETag: '"v1"' };
  const scripted = await Scripted.start([200, { ...limits, "X-Request-ID": "req-2" }, {}]);
  const client = new AgentAreaClient(`${scripted.url}/`, "key");
  assert.deepEqual(client.rateLimit, {});
  const got = await client.changeAgent("a/../b?", {}, { ifMatch: '"v0"' });
  assert.deepEqual([got.etag, got.requestId, JSON.stringify(got)], ['"v1"', "req-2", "{}"]);
  assert.deepEqual(client.rateLimit, { limit: 100, remaining: 7, reset: 42 });
  const [{ method, path, headers }] = scripted.requests;
  assert.deepEqual([method, path], ["PATCH", "/v1/agents/a%2F..%2Fb%3F"]);
  assert.deepEqual([headers.authorization, headers["if-match"]], ["Bearer key", '"v0"']);
  scripted.close();
});

test("a client that exceeds the rate limit waits and gets all responses", async () => {
  const own = await Server.start({ AGENTAREA_RATE_LIMIT_BURST: "3", AGENTAREA_RATE_LIMIT_PER_MINUTE: "1000" });
  const client = await own.login();
  for (let i = 0; i < 12; i++) assert.equal((await client.me()).username, "admin");
  assert.equal(client.rateLimit.limit, 1000);
  const impatient = new AgentAreaClient(own.url, client.token, { retries: 0 });
  await assert.rejects(
    async () => {
      for (let i = 0; i < 1000; i++) await impatient.me();
    },
    (error) => error instanceof agentarea.RateLimited && error.retryAfter > 0,
  );
  own.remove();
});

test("every error has its class", async () => {
  for (const [status, code, Kind] of [
    [400, "VALIDATION_ERROR", agentarea.ValidationError],
    [401, "UNAUTHORIZED", agentarea.Unauthorized],
    [403, "FORBIDDEN", agentarea.Forbidden],
    [404, "NOT_FOUND", agentarea.NotFound],
    [405, "METHOD_NOT_ALLOWED", agentarea.MethodNotAllowed],
    [409, "CONFLICT", agentarea.Conflict],
    [412, "PRECONDITION_FAILED", agentarea.PreconditionFailed],
    [413, "PAYLOAD_TOO_LARGE", agentarea.PayloadTooLarge],
    [415, "UNSUPPORTED_MEDIA_TYPE", agentarea.UnsupportedMediaType],
    [429, "RATE_LIMITED", agentarea.RateLimited],
    [500, "INTERNAL_ERROR", agentarea.InternalError],
    [502, "UPSTREAM_ERROR", agentarea.UpstreamError],
    [503, "SERVICE_UNAVAILABLE", agentarea.ServiceUnavailable],
    [504, "UPSTREAM_TIMEOUT", agentarea.UpstreamTimeout],
    [507, "INSUFFICIENT_STORAGE", agentarea.InsufficientStorage],
  ]) {
    const script = [[status, {}, failure(code, { field: "name", issue: "is wrong" })]];
    const [error] = await call(script, (c) => c.me(), { retries: 0 });
    assert.ok(error instanceof Kind, code);
    assert.deepEqual([error.name, error.code, error.status, error.field], [Kind.name, code, status, "name"]);
  }
});

test("concurrent calls with an expired token share one refresh", async () => {
  const receivedTokens = [];
  const good = await (await server()).login();
  const onTokens = (tokens) => receivedTokens.push(tokens);
  const client = new AgentAreaClient(good.baseUrl, "stale", { refreshToken: good.refreshToken, onTokens });
  const all = await Promise.all(Array.from({ length: 10 }, () => client.me()));
  assert.deepEqual(new Set(all.map((one) => one.username)), new Set(["admin"]));
  assert.equal(receivedTokens.length, 1);
  assert.equal(receivedTokens[0].refresh_token, client.refreshToken);
  await client.refresh();
  assert.equal(receivedTokens.length, 2);
  await client.logout();
  assert.deepEqual([client.token, client.refreshToken], [undefined, undefined]);
  await assert.rejects(client.me(), agentarea.Unauthorized);
});

test("an invalid refresh token", async () => {
  const client = new AgentAreaClient((await server()).url, "stale", { refreshToken: "rt_login-1.AAAA" });
  for (let i = 0; i < 2; i++) await assert.rejects(client.me(), agentarea.Unauthorized);
  assert.equal(client.refreshToken, undefined);
});

test("a rejected new token is not refreshed again", async () => {
  const unauthorized = [401, {}, failure("UNAUTHORIZED")];
  const fresh = [200, {}, { access_token: "b", refresh_token: "r2" }];
  const [got, requests] = await call([unauthorized, fresh, unauthorized, ok], (c) => c.me(), { refreshToken: "r" });
  assert.ok(got instanceof agentarea.Unauthorized);
  assert.deepEqual(requests.map((one) => one.path), ["/v1/auth/me", "/v1/auth/refresh", "/v1/auth/me"]);
  assert.equal(requests[1].headers.authorization, undefined);
});

test("an API key is not refreshed", async () => {
  const [got, requests] = await call([[401, {}, failure("UNAUTHORIZED")]], (c) => c.me());
  assert.ok(got instanceof agentarea.Unauthorized);
  assert.equal(requests.length, 1);
});

test("a wrong password", async () => {
  const { url } = await server();
  await assert.rejects(AgentAreaClient.login(url, "nobody", "wrong-password-of-nobody"), agentarea.Unauthorized);
  await (await admin()).me();
});
